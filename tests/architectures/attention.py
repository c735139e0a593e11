# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Attention and recurrent nets: heads, scales, masks, embeddings."""

from __future__ import annotations

import numpy as np

from .base import COPY, POSITIVE, Catalogue, Plant, free, frozen, ints, positive, scalar

ENTRIES = Catalogue()
QKV = {"wq": (16, 16), "wk": (16, 16), "wv": (16, 16), "wo": (16, 16)}
SHAPES = {"hd": ints(0, 7, 2, 8), "fl": ints(0, 7, 16)}
SPLIT = (
    "q1=Reshape(q0,hd) k1=Reshape(k0,hd) v1=Reshape(v0,hd) q=Transpose<perm=[0,2,1,3]>(q1) "
    "k=Transpose<perm=[0,2,3,1]>(k1) v=Transpose<perm=[0,2,1,3]>(v1)"
)
PROJECT = "q0=MatMul(x,wq) k0=MatMul(x,wk) v0=MatMul(x,wv)"
JOIN = "o=MatMul(p,v) o1=Transpose<perm=[0,2,1,3]>(o) o2=Reshape(o1,fl)"
SIGNATURE = "g (float[N,7,16] x) => (float[N,7,16] y)"

ENTRIES.add(
    "attention_heads",
    f"{SIGNATURE} {{ {PROJECT} {SPLIT} l=MatMul(q,k) p=Softmax<axis=-1>(l) {JOIN} y=MatMul(o2,wo) }}",
    {**QKV, **SHAPES},
    [free("wv", 2, "COPY|ANY|POSITIVE|SIGN"), frozen("wo", 16, "output of the model")],
)
ENTRIES.add(
    "attention_biased_scaled_masked",
    f"{SIGNATURE} {{ q2=MatMul(x,wq) q0=Add(q2,bq) k2=MatMul(x,wk) k0=Add(k2,bk) v2=MatMul(x,wv) v0=Add(bv,v2) "
    f"{SPLIT} l2=MatMul(q,k) l1=Div(l2,root) l=Add(l1,mask) p=Softmax<axis=-1>(l) {JOIN} m=MatMul(o2,wo) "
    "y=Add(m,bo) }",
    {
        **QKV,
        **SHAPES,
        "bq": (16,),
        "bk": (16,),
        "bv": (16,),
        "bo": (16,),
        "root": scalar(2.8284271),
        "mask": np.triu(np.full((7, 7), -1e4, np.float32), 1),
    },
    [free("wv", 2, "COPY|ANY|POSITIVE|SIGN"), frozen("wo", 16, "output of the model")],
)
ENTRIES.add(
    "attention_one_head",
    "g (float[N,7,16] x) => (float[N,7,5] y) { q=MatMul(x,wq) k0=MatMul(x,wk) v=MatMul(x,wv) "
    "k=Transpose<perm=[0,2,1]>(k0) l=MatMul(q,k) p=Softmax<axis=-1>(l) o=MatMul(p,v) y=MatMul(o,w9) }",
    {"wq": (16, 12), "wk": (16, 12), "wv": (16, 10), "w9": (10, 5)},
    None,
)
ENTRIES.add(
    "transformer_block",
    f"{SIGNATURE} {{ {PROJECT} {SPLIT} l=MatMul(q,k) p=Softmax<axis=-1>(l) {JOIN} m=MatMul(o2,wo) r=Add(x,m) "
    "n=LayerNormalization(r,g1,o3) h=MatMul(n,wu) hb=Add(h,bu) d=Div(hb,root) e=Erf(d) f=Add(e,one) t=Mul(hb,f) "
    "u=Mul(t,half) w=MatMul(u,wd) db=Add(w,bd) z=Add(n,db) y=LayerNormalization(z,g1,o3) }",
    {
        **QKV,
        **SHAPES,
        "g1": positive(16),
        "o3": (16,),
        "wu": (16, 24),
        "bu": (24,),
        "wd": (24, 16),
        "bd": (16,),
        "root": scalar(1.4142135),
        "one": scalar(1.0),
        "half": scalar(0.5),
    },
    [free("wv", 2, "COPY|ANY|POSITIVE|SIGN"), free("wu", 24, COPY), frozen("wo", 16), frozen("wd", 16)],
    plants=[Plant("scaled through GELU", "wu", {"wu": (2.0, 0.0), "bu": (2.0, 0.0)}, drop=0)],
)
ENTRIES.add(
    "residual_stream_pre_norm",
    "g (float[N,7,20] x) => (float[N,7,5] y) { e=MatMul(x,we) n=LayerNormalization(e,g1,o1) h=MatMul(n,wu) "
    "r=Relu(h) d=MatMul(r,wd) z=Add(e,d) m=LayerNormalization(z,g2,o2) y=MatMul(m,w9) }",
    {
        "we": (20, 12),
        "g1": positive(12),
        "o1": (12,),
        "g2": positive(12),
        "o2": (12,),
        "wu": (12, 18),
        "wd": (18, 12),
        "w9": (12, 5),
    },
    [frozen("we", 12, "over channels"), free("wu", 18, POSITIVE), frozen("w9", 5, "output of the model")],
)
ENTRIES.add(
    "feed_forward_swiglu",
    "g (float[N,7,16] x) => (float[N,7,16] y) { a=MatMul(x,wg) s=Sigmoid(a) t=Mul(a,s) v=MatMul(x,wu) z=Mul(t,v) "
    "d=MatMul(z,wd) y=Add(x,d) }",
    {"wg": (16, 24), "wu": (16, 24), "wd": (24, 16)},
    [free("wu", 24, "COPY|ANY|POSITIVE|SIGN"), frozen("wd", 16)],
    plants=[Plant("value row of any scale", "wu", {"wu": (-0.4, 0.0)})],
)
ENTRIES.add(
    "embedding",
    "g (int64[N,7] x) => (float[N,7,5] y) { e=Gather(table,x) m=MatMul(e,w1) a=Add(m,b1) r=Relu(a) y=MatMul(r,w9) }",
    {"table": (15, 12), "w1": (12, 10), "b1": (10,), "w9": (10, 5)},
    None,
    plants=[Plant("behind the embedding", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)})],
)
ENTRIES.add(
    "embedding_with_positions",
    "g (int64[N,7] x) => (float[N,7,5] y) { e=Gather(table,x) s=Add(e,place) r=Relu(s) y=MatMul(r,w9) }",
    {"table": (6, 12), "place": (7, 12), "w9": (12, 5)},
    None,
)
ENTRIES.add(
    "patches_to_tokens",
    "g (float[N,3,8,8] x) => (float[N,16,5] y) { a=Conv<strides=[2,2]>(x,w1,b1) h=Reshape(a,sh) "
    "t=Transpose<perm=[0,2,1]>(h) m=MatMul(t,w2) b=Add(m,b2) r=Tanh(b) y=MatMul(r,w9) }",
    {
        "w1": (12, 3, 2, 2),
        "b1": (12,),
        "sh": ints(0, 12, -1),
        "w2": (12, 9),
        "b2": (9,),
        "w9": (9, 5),
    },
    [free("w1", 12, "ANY"), free("w2", 9, "SIGN"), frozen("w9", 5, "output of the model")],
)
ENTRIES.add(
    "lstm",
    "g (float[7,N,20] x) => (float[7,1,N,8] y) { a=MatMul(x,w1) r=Relu(a) y=LSTM<hidden_size=8>(r,wi,wr) }",
    {"w1": (20, 12), "wi": (1, 32, 12), "wr": (1, 32, 8)},
    None,
)
ENTRIES.vector(
    "einsum",
    'a=Einsum<equation="bi,oi->bo">(x,w1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)',
    {"w1": (16, 20), "w9": (5, 16), "b9": (5,)},
    None,
)
