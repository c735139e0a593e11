# ruff: noqa: E501 - a model per line
# fmt: off
"""Matrices meant to mislead: weights in two roles, counts that become numbers, axes that mix, odd broadcasts.

No expectations by hand: whatever relations are planted, the outputs must stay (tests/laws/test_torture.py).
"""

from __future__ import annotations

import numpy as np

from .base import Catalogue, Positive, floats, ints, positive, scalar

ENTRIES = Catalogue()
W1 = {"w1": (12, 20), "b1": (12,)}
W9 = {"w9": (5, 12), "b9": (5,)}
CW = {"w1": (12, 3, 3, 3), "b1": (12,), "w2": (7, 12, 3, 3), "b2": (7,)}
A = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a)"
END = "y=Gemm<transB=1>(m,w9,b9)"


def dense_case(name: str, body: str, extra: dict | None = None, **options: object) -> None:  # type: ignore[type-arg]
    """A body over w1, b1 (12 units) and w9, b9 (5 outputs)."""
    ENTRIES.vector(name, body, {**W1, **W9, **(extra or {})}, None, **options)


dense_case("vec_bias_and_weight", f"{A} q=Gemm<transB=1>(r,v) c=Gemm<transB=1>(x,w2,b2) t=Add(c,v) u=Relu(t) k=Gemm<transB=1>(u,w9,b9) y=Add(k,q)", {"v": (1, 12), "w2": (12, 20), "b2": (12,)})
dense_case("vec_weight_and_slope", f"{A} q=Gemm<transB=1>(r,v) c=Gemm<transB=1>(x,w2,b2) u=PRelu(c,v) k=Gemm<transB=1>(u,w9,b9) y=Add(k,q)", {"v": positive(1, 12), "w2": (12, 20), "b2": (12,)})
ENTRIES.add("matmul_exported", f"g (float[N,20] x) => (float[N,5] y, float[N,5] z) {{ {A} y=MatMul(r,w9) z=Add(y,b9) }}", {**W1, "w9": (12, 5), "b9": (5,)}, None)
ENTRIES.add("matmul_two_readers", f"g (float[N,20] x) => (float[N,5] y) {{ {A} p=MatMul(r,w9) z=Add(p,b9) q=Relu(p) y=Add(z,q) }}", {**W1, "w9": (12, 5), "b9": (5,)}, None)
ENTRIES.add("matmul_add_itself", f"g (float[N,20] x) => (float[N,5] y) {{ {A} p=MatMul(r,w9) z=Add(p,p) y=Add(z,b9) }}", {**W1, "w9": (12, 5), "b9": (5,)}, None)
ENTRIES.add("matmul_left_add_vec", "g (float[20,12] x) => (float[5,12] y) { a=MatMul(w1,x) r=Relu(a) p=MatMul(w9,r) y=Add(p,b9) }", {"w1": (12, 20), "w9": (5, 12), "b9": (12,)}, None)
ENTRIES.add("matmul_left_add_col", "g (float[20,12] x) => (float[5,12] y) { a0=MatMul(w1,x) a=Add(a0,b1) r=Relu(a) p=MatMul(w9,r) y=Add(p,b9) }", {"w1": (12, 20), "b1": (12, 1), "w9": (5, 12), "b9": (5, 1)}, None)
ENTRIES.add("matmul_left_vec", "g (float[20] x) => (float[5] y) { a0=MatMul(w1,x) a=Add(a0,b1) r=Relu(a) p=MatMul(w9,r) y=Add(p,b9) }", {"w1": (12, 20), "b1": (12,), "w9": (5, 12), "b9": (5,)}, None)
ENTRIES.add("matmul_right_vec", "g (float[20] x) => (float[5] y) { a0=MatMul(x,w1) a=Add(a0,b1) r=Relu(a) p=MatMul(r,w9) y=Add(p,b9) }", {"w1": (20, 12), "b1": (12,), "w9": (12, 5), "b9": (5,)}, None)
dense_case("gemm_beta0_noC", f"{A} y=Gemm<transB=1,beta=0.0>(r,w9)")
dense_case("gemm_beta0_C", f"{A} y=Gemm<transB=1,beta=0.0>(r,w9,b9)")
dense_case("gemm_beta_half", f"{A} y=Gemm<transB=1,beta=0.5,alpha=2.0>(r,w9,b9)")
dense_case("gemm_beta_half_noC", f"{A} y=Gemm<transB=1,beta=0.5,alpha=2.0>(r,w9)")
dense_case("gemm_alpha0", "a=Gemm<transB=1,alpha=0.0>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)")
dense_case("gemm_neg", "a=Gemm<transB=1,alpha=-0.5,beta=-2.0>(x,w1,b1) r=Relu(a) y=Gemm<transB=1,alpha=-3.0>(r,w9,b9)")
ENTRIES.add("gemm_rank0_C", "g (float[N,20] x) => (float[N,1] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {**W1, "w9": (1, 12), "b9": scalar(.3)}, None)
ENTRIES.add("gemm_rank0_C_hidden", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b0) r=Relu(a) y=Gemm<transB=1>(r,w9,b0) }", {"w1": (12, 20), "b0": scalar(.3), "w9": (5, 12)}, None)
ENTRIES.add("gemm_full_C_shared", "g (float[2,20] x) => (float[2,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm<transB=1>(x,w2,b2) s=Tanh(c) p=Gemm<transB=1>(r,w9,bb) q=Gemm<transB=1>(s,w8,bb) y=Add(p,q) }", {**W1, "w2": (11, 20), "b2": (11,), "w9": (5, 12), "w8": (5, 11), "bb": (2, 5)}, None)
ENTRIES.add("gemm_col_C", "g (float[2,20] x) => (float[2,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {"w1": (12, 20), "b1": (2, 1), "w9": (5, 12), "b9": (2, 1)}, None)
ENTRIES.add("gemm_transA", "g (float[20,3] x) => (float[3,5] y) { a=Gemm<transA=1>(x,w1,b1) r=Relu(a) y=Gemm(r,w9,b9) }", {"w1": (20, 12), "b1": (12,), "w9": (12, 5), "b9": (5,)}, None)
ENTRIES.add("gemm_transA_hidden", "g (float[20,3] x) => (float[3,5] y) { a=MatMul(w1,x) r=Relu(a) y=Gemm<transA=1>(r,w9,b9) }", {"w1": (12, 20), "w9": (12, 5), "b9": (5,)}, None)
dense_case("shared_bias_two_gemms", f"{A} c=Gemm<transB=1>(x,w2,b1) s=Tanh(c) p=Gemm<transB=1>(r,w9,b9) q=Gemm<transB=1>(s,w8,b9) y=Add(p,q)", {"w2": (12, 20), "w8": (5, 12)})
dense_case("tied_gemm_matmul", f"{A} p=MatMul(r,w2) q=Relu(p) k=Gemm<transB=1>(q,w2,b2) m=Relu(k) {END}", {"w2": (12, 12), "b2": (12,)})
dense_case("square_twice", f"{A} p=MatMul(r,w2) q=Relu(p) k=MatMul(q,w2) m=Relu(k) {END}", {"w2": (12, 12)})
dense_case("square_res", f"{A} p=MatMul(r,w2) q=Add(p,r) m=Relu(q) {END}", {"w2": (12, 12)})
dense_case("square_res_transposed_weight", f"{A} wt=Transpose(w2) p=MatMul(r,w2) k=MatMul(r,wt) q0=Add(p,r) q=Add(q0,k) m=Relu(q) {END}", {"w2": (12, 12)})
dense_case("size_as_number", f"{A} h=Shape(r) g=Gather(h,one) f=Cast<to=1>(g) m=Div(r,f) {END}", {"one": ints(1).reshape(())})
dense_case("range_sum", f"{A} h=Shape(r) g=Gather(h,one) k=Range(zero,g,one) s=ReduceSum<keepdims=0>(k) f=Cast<to=1>(s) m=Div(r,f) {END}", {"one": ints(1).reshape(()), "zero": ints(0).reshape(())})
dense_case("ones_sum", f"{A} h=Shape(r) k=ConstantOfShape<value=float[1]{{1}}>(h) s=ReduceSum<keepdims=0>(k) m=Div(r,s) {END}")
dense_case("ones_mean_weights", f"{A} h=Shape(r) k=ConstantOfShape<value=float[1]{{2}}>(h) m=Mul(r,k) {END}")
dense_case("expand_const_sum", f"{A} h=Shape(r) k=Expand(one,h) s=ReduceSum<keepdims=0>(k) m=Div(r,s) {END}", {"one": floats(1.0)})
dense_case("expand_input_by_shape", f"{A} h=Shape(r) k=Expand(z,h) s=ReduceMax<keepdims=0>(k) t=ReduceSum<keepdims=0>(k) u=Div(t,s) m=Div(r,u) {END}", {"z": floats(1.0)})
dense_case("shape_out", f"{A} h=Shape(r) f=Cast<to=1>(h) g=ReduceSum<keepdims=0>(f) k=Gemm<transB=1>(r,w9,b9) y=Mul(k,g)")
dense_case("size_op", f"{A} h=Size(r) f=Cast<to=1>(h) {END.replace('y=','k=').replace('m,','r,')} y=Mul(k,f)")
dense_case("shape_start_end", f"{A} h=Shape<start=0,end=1>(r) f=Cast<to=1>(h) {END.replace('y=','k=').replace('m,','r,')} y=Mul(k,f)")
dense_case("onehot_depth", f"{A} h=Shape<start=1>(r) {END.replace('y=','k=').replace('m,','r,')} i=ArgMax<axis=1,keepdims=0>(k) o=OneHot(i,h,vals) t=ReduceMean<axes=[1]>(o) y=Add(k,t)", {"vals": floats(0, 1)})
dense_case("eye_like", f"{A} t=MatMul(r,w2) u=Relu(t) {END.replace('y=','k=').replace('m,','u,')} h=Shape<start=1>(r) e=Concat<axis=0>(h,h) c=ConstantOfShape(e) f=EyeLike(c) s=ReduceSum<keepdims=0>(f) y=Mul(k,s)", {"w2": (12, 12)})
ENTRIES.add("concat_same_const_twice", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) h=Shape(r) b=Slice(h,zero,one) k=Concat<axis=0>(b,four,four) f=Reshape(r,k) u=Relu(f) v=Reshape(u,back) y=Gemm<transB=1>(v,w9,b9) }", {"w1": (16, 20), "b1": (16,), "zero": ints(0), "one": ints(1), "four": ints(4), "back": ints(-1, 16), "w9": (5, 16), "b9": (5,)}, None)
ENTRIES.add("concat_const_twice_channels", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) h=Shape(r) b=Slice(h,zero,one) c=Gemm<transB=1>(x,w2,b2) s=Relu(c) p=Unsqueeze(r,ax) q=Unsqueeze(s,ax2) o=Mul(p,q) k=Concat<axis=0>(b,tw,tw) f=Reshape(o,k) u=Relu(f) v=Flatten(u) y=Gemm<transB=1>(v,w9,b9) }", {"w1": (12, 20), "b1": (12,), "w2": (12, 20), "b2": (12,), "zero": ints(0), "one": ints(1), "tw": ints(12), "ax": ints(1), "ax2": ints(2), "w9": (5, 144), "b9": (5,)}, None)
ENTRIES.add("weight_output", "g (float[N,20] x) => (float[N,5] y, float[12,20] w1, float[12] b1) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {**W1, **W9}, None)
ENTRIES.add("bias_output", "g (float[N,20] x) => (float[N,5] y, float[12] b1, float[5] b9) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {**W1, **W9}, None)
ENTRIES.add("consumer_output", "g (float[N,20] x) => (float[N,5] y, float[5,12] w9) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {**W1, **W9}, None)
ENTRIES.add("hidden_output", "g (float[N,20] x) => (float[N,5] y, float[N,12] r) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {**W1, **W9}, None)
ENTRIES.add("transposed_weight_output", "g (float[N,20] x) => (float[N,5] y, float[12,5] wt) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) wt=Transpose(w9) y=MatMul(r,wt) }", {**W1, "w9": (5, 12)}, None)
dense_case("dropout_mask_read", f"{A} m,k=Dropout(r) f=Cast<to=1>(k) q=ReduceSum<keepdims=0>(f) {END.replace('y=','z=')} y=Mul(z,q)")
ENTRIES.add("dropout_mask_output", "g (float[N,20] x) => (float[N,5] y, bool[N,H] k) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) m,k=Dropout(r) y=Gemm<transB=1>(m,w9,b9) }", {**W1, **W9}, None)
for sh,nm in (((12,),"c"),((1,),"one"),((3,12),"nc"),((3,1),"n1"),((2,1,12),"up"),((2,3,12),"up3"),((2,1,1),"up1")):
    for op in ("Add","Mul","Sub","Div"):
        dense_case(f"{op}_{nm}",f"{A} t={op}(r,v) k=Relu(t) z=MatMul(k,w9) y=ReduceMean<axes=[0],keepdims=0>(z)" if len(sh)==3 else f"{A} t={op}(r,v) m=Relu(t) {END}",{"v":Positive(sh),**({"w9":(12,5)} if len(sh)==3 else {})})
        dense_case(f"{op}_{nm}_rev",f"{A} q=Add(r,eps) t={op}(v,q) k=Relu(t) z=MatMul(k,w9) y=ReduceMean<axes=[0],keepdims=0>(z)" if len(sh)==3 else f"{A} q=Add(r,eps) t={op}(v,q) m=Relu(t) {END}",{"v":Positive(sh),"eps":scalar(.5),**({"w9":(12,5)} if len(sh)==3 else {})})
dense_case("single_channel_mul_high", "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) t=Gemm<transB=1>(r,w2) u=Mul(t,v) k=ReduceSum<keepdims=0>(u,zero) z=Concat<axis=0>(k,k) q=Gemm<transB=1>(r,w9,b9) w=ReduceMean<keepdims=0>(z) y=Add(q,w)", {"w2": (1, 12), "v": (4, 1, 1), "zero": ints(0)})
ENTRIES.add("gqa", "g (float[2,5,8] x) => (float[2,5,6] y) { q0=MatMul(x,wq) k0=MatMul(x,wk) v0=MatMul(x,wv) q1=Reshape(q0,sq) k1=Reshape(k0,sk) v1=Reshape(v0,sk) q=Transpose<perm=[0,2,1,3]>(q1) k2=Transpose<perm=[0,2,1,3]>(k1) v2=Transpose<perm=[0,2,1,3]>(v1) k3=Unsqueeze(k2,two) v3=Unsqueeze(v2,two) k4=Expand(k3,ex) v4=Expand(v3,ex) k=Reshape(k4,sr) v=Reshape(v4,sr) kt=Transpose<perm=[0,1,3,2]>(k) s0=MatMul(q,kt) s=Softmax<axis=-1>(s0) o=MatMul(s,v) o1=Transpose<perm=[0,2,1,3]>(o) o2=Reshape(o1,so) y=MatMul(o2,wo) }", {"wq": (8, 16), "wk": (8, 8), "wv": (8, 8), "wo": (16, 6), "sq": ints(0, 0, 4, 4), "sk": ints(0, 0, 2, 4), "two": ints(2), "ex": ints(2, 2, 2, 5, 4), "sr": ints(0, 4, 5, 4), "so": ints(0, 0, 16)}, None)
ENTRIES.add("mha_shared_kv", "g (float[2,5,8] x) => (float[2,5,6] y) { q0=MatMul(x,wq) k0=MatMul(x,wk) v0=MatMul(x,wv) q1=Reshape(q0,sq) k1=Reshape(k0,sk) v1=Reshape(v0,sk) q=Transpose<perm=[0,2,1,3]>(q1) k=Transpose<perm=[0,2,1,3]>(k1) v=Transpose<perm=[0,2,1,3]>(v1) kt=Transpose<perm=[0,1,3,2]>(k) s0=MatMul(q,kt) s=Softmax<axis=-1>(s0) o=MatMul(s,v) o1=Transpose<perm=[0,2,1,3]>(o) o2=Reshape(o1,so) y=MatMul(o2,wo) }", {"wq": (8, 16), "wk": (8, 4), "wv": (8, 4), "wo": (16, 6), "sq": ints(0, 0, 4, 4), "sk": ints(0, 0, 1, 4), "so": ints(0, 0, 16)}, None)
ENTRIES.add("mha", "g (float[2,5,8] x) => (float[2,5,6] y) { q0=MatMul(x,wq) k0=MatMul(x,wk) v0=MatMul(x,wv) q1=Reshape(q0,sq) k1=Reshape(k0,sq) v1=Reshape(v0,sq) q=Transpose<perm=[0,2,1,3]>(q1) kt=Transpose<perm=[0,2,3,1]>(k1) v=Transpose<perm=[0,2,1,3]>(v1) s0=MatMul(q,kt) s=Softmax<axis=-1>(s0) o=MatMul(s,v) o1=Transpose<perm=[0,2,1,3]>(o) o2=Reshape(o1,so) y=MatMul(o2,wo) }", {"wq": (8, 16), "wk": (8, 16), "wv": (8, 16), "wo": (16, 6), "sq": ints(0, 0, 4, 4), "so": ints(0, 0, 16)}, None)
ENTRIES.add("linear_attention", "g (float[2,5,8] x) => (float[2,5,6] y) { q=MatMul(x,wq) k=MatMul(x,wk) v=MatMul(x,wv) kt=Transpose<perm=[0,2,1]>(k) kv=MatMul(kt,v) o=MatMul(q,kv) y=MatMul(o,wo) }", {"wq": (8, 16), "wk": (8, 16), "wv": (8, 12), "wo": (12, 6)}, None)
ENTRIES.add("gram_matrix", "g (float[2,5,8] x) => (float[2,5,6] y) { q=MatMul(x,wq) kt=Transpose<perm=[0,2,1]>(q) s=MatMul(q,kt) o=MatMul(s,q) y=MatMul(o,wo) }", {"wq": (8, 16), "wo": (16, 6)}, None)
ENTRIES.add("batch_heads_broadcast", "g (float[2,5,8] x) => (float[2,4,5,6] y) { v0=MatMul(x,wv) v1=Reshape(v0,sq) v=Transpose<perm=[0,2,1,3]>(v1) o=MatMul(mix,v) y=MatMul(o,wo) }", {"wv": (8, 16), "sq": ints(0, 0, 4, 4), "mix": (1, 4, 5, 5), "wo": (4, 6)}, None)
ENTRIES.add("stacked_weights", "g (float[2,5,8] x) => (float[2,5,6] y) { v0=MatMul(x,wv) v1=Reshape(v0,sq) v=Transpose<perm=[0,2,1,3]>(v1) o=MatMul(v,ws) t=Transpose<perm=[0,2,1,3]>(o) u=Reshape(t,so) y=MatMul(u,wo) }", {"wv": (8, 16), "sq": ints(0, 0, 4, 4), "ws": (4, 4, 3), "so": ints(0, 0, 12), "wo": (12, 6)}, None)
dense_case("tile_channels", f"{A} t=Tile(r,rep) m=Relu(t) {END}", {"rep": ints(1, 2), "w9": (5, 24)})
dense_case("expand_channels_rows", f"{A} u=Unsqueeze(r,ax) t=Expand(u,ex) f=Flatten(t) m=Relu(f) {END}", {"ax": ints(1), "ex": ints(1, 2, 1), "w9": (5, 24)})
dense_case("expand_channels_cols", f"{A} u=Unsqueeze(r,ax) t=Expand(u,ex) f=Flatten(t) m=Relu(f) {END}", {"ax": ints(2), "ex": ints(1, 1, 2), "w9": (5, 24)})
dense_case("expand_full", f"{A} u=Unsqueeze(r,ax) t=Expand(u,ex) f=Flatten(t) m=Relu(f) {END}", {"ax": ints(2), "ex": ints(3, 12, 2), "w9": (5, 24)})
dense_case("reshape_0_-1", f"{A} t=Reshape(r,s1) u=Relu(t) m=Reshape(u,s2) {END}", {"s1": ints(0, -1, 3), "s2": ints(0, -1)})
dense_case("reshape_mix_batch", f"{A} t=Reshape(r,s1) u=Relu(t) m=Reshape(u,s2) {END}", {"s1": ints(-1, 4), "s2": ints(-1, 12)})
dense_case("reshape_mix_batch2", f"{A} t=Reshape(r,s1) u=Transpose(t) v=Relu(u) w=Transpose(v) m=Reshape(w,s2) {END}", {"s1": ints(-1, 4), "s2": ints(-1, 12)})
dense_case("reshape_mix_batch3", f"{A} t=Reshape(r,s1) m=Softmax<axis=0>(t) k=Reshape(m,s2) y=Gemm<transB=1>(k,w9,b9)", {"s1": ints(-1, 4), "s2": ints(-1, 12)})
dense_case("reshape_batch_mean", f"{A} t=Reshape(r,s1) q=ReduceMean<axes=[0]>(t) m0=Sub(t,q) m=Reshape(m0,s2) {END}", {"s1": ints(-1, 4), "s2": ints(-1, 12)})
dense_case("reshape_batch_mean2", f"{A} t=Reshape(r,s1) q=ReduceMean<axes=[0]>(t) m0=Sub(t,q) m=Reshape(m0,s2) {END}", {"s1": ints(-1, 6), "s2": ints(-1, 12)})
dense_case("reshape_transposed", f"{A} t=Transpose(r) u=Reshape(t,s1) v=Relu(u) w=Reshape(v,s2) m=Transpose(w) {END}", {"s1": ints(3, 4, -1), "s2": ints(12, -1)})
dense_case("reshape_flat_all", f"{A} t=Reshape(r,s1) u=Relu(t) m=Reshape(u,s2) {END}", {"s1": ints(-1), "s2": ints(-1, 12)})
dense_case("reshape_allzero_copy", f"{A} t=Reshape(r,s1) u=Relu(t) m=Reshape(u,s2) {END}", {"s1": ints(0, 0, 1), "s2": ints(0, 0)})
dense_case("flatten0", f"{A} t=Flatten<axis=0>(r) u=Relu(t) m=Reshape(u,s2) {END}", {"s2": ints(-1, 12)})
dense_case("flatten_neg", f"{A} t=Flatten<axis=-1>(r) m=Relu(t) {END}")
ENTRIES.add("lstm_input", "g (float[4,2,20] x) => (float[4,1,2,6] y) { a=MatMul(x,w1) r=Relu(a) y,h,c=LSTM<hidden_size=6>(r,W,R,B) }", {"w1": (20, 12), "W": (1, 24, 12), "R": (1, 24, 6), "B": (1, 48)}, None)
ENTRIES.add("lstm_units_then_dense", "g (float[4,2,20] x) => (float[4,1,2,5] y) { a=MatMul(x,w1) r=Relu(a) z,h,c=LSTM<hidden_size=6>(r,W,R,B) y=MatMul(z,w9) }", {"w1": (20, 12), "W": (1, 24, 12), "R": (1, 24, 6), "B": (1, 48), "w9": (6, 5)}, None)
ENTRIES.add("gru_state", "g (float[4,2,20] x) => (float[4,1,2,6] y) { a=MatMul(x,w1) r=Relu(a) s=ReduceMean<axes=[0]>(a) t=MatMul(s,w2) y,h=GRU<hidden_size=6>(r,W,R,B,,t) }", {"w1": (20, 12), "w2": (12, 6), "W": (1, 18, 12), "R": (1, 18, 6), "B": (1, 36)}, None)
ENTRIES.add("lstm_bi_layout", "g (float[4,2,20] x) => (float[4,2,2,6] y) { a=MatMul(x,w1) r=Tanh(a) y,h,c=LSTM<hidden_size=6,direction=\"bidirectional\">(r,W,R,B) }", {"w1": (20, 12), "W": (2, 24, 12), "R": (2, 24, 6), "B": (2, 48)}, None)
ENTRIES.add("if_capture_weight", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=If(cond)<then_branch=t () => (float[N,5] p) { p=Gemm<transB=1>(r,w9,b9) }, else_branch=e () => (float[N,5] q) { q=Gemm<transB=1>(r,w9,b9) }> }", {**W1, **W9, "cond": np.array(True)}, None)
ENTRIES.add("if_capture_w_only", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) k=Gemm<transB=1>(r,w9,b9) j=If(cond)<then_branch=t () => (float p) { p=ReduceSum<keepdims=0>(w1) }, else_branch=e () => (float q) { q=ReduceSum<keepdims=0>(b1) }> y=Add(k,j) }", {**W1, **W9, "cond": np.array(True)}, None)
ENTRIES.add("if_shape", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) h=Shape(r) k=Gemm<transB=1>(r,w9,b9) j=If(cond)<then_branch=t () => (float p) { p0=Cast<to=1>(h) p=ReduceSum<keepdims=0>(p0) }, else_branch=e () => (float q) { q=ReduceSum<keepdims=0>(b9) }> y=Add(k,j) }", {**W1, **W9, "cond": np.array(True)}, None)
ENTRIES.add("loop_capture", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Loop(trips,cond,z)<body=b (int64 i, bool c, float[N,5] s) => (bool c2, float[N,5] s2) { c2=Identity(c) k=Gemm<transB=1>(r,w9,b9) s2=Add(s,k) }> }", {**W1, **W9, "trips": ints(3).reshape(()), "cond": np.array(True), "z": np.zeros((3, 5), np.float32)}, None)
ENTRIES.add("embedding_tied", "g (int64[N,4] x) => (float[N,4,9] y) { e=Gather(t,x) r=Relu(e) wt=Transpose(t) y=MatMul(r,wt) }", {"t": (9, 12)}, None, feed={"x": np.arange(12).reshape(3, 4)%9})
ENTRIES.add("embedding_two_tables", "g (int64[N,4] x) => (float[N,4,5] y) { e=Gather(t,x) f=Gather(u,x) s=Add(e,f) s2=Add(s,pos) y=MatMul(s2,w9) }", {"t": (9, 12), "u": (9, 12), "pos": (1, 4, 12), "w9": (12, 5)}, None, feed={"x": np.arange(12).reshape(3, 4)%9})
ENTRIES.add("embedding_scalar_idx", "g (int64 x) => (float[5] y) { e=Gather(t,x) y=MatMul(e,w9) }", {"t": (9, 12), "w9": (12, 5)}, None, feed={"x": np.array(2)})
ENTRIES.add("embedding_neg_idx", "g (int64[N,4] x) => (float[N,4,5] y) { e=Gather<axis=-2>(t,x) y=MatMul(e,w9) }", {"t": (9, 12), "w9": (12, 5)}, None, feed={"x": np.arange(12).reshape(3, 4)%9})
ENTRIES.add("einsum", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Einsum<equation=\"nc, dc->nd\">(r,w9) }", {**W1, "w9": (5, 12)}, None)
ENTRIES.add("zero_rows", "g (float[0,20] x) => (float[0,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }", {**W1, **W9}, None, feed={"x": np.zeros((0, 20), np.float32)})
ENTRIES.add("zero_channels", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) p,q=Split<axis=1>(r,sz) m=Concat<axis=1>(q,p) y=Gemm<transB=1>(m,w9,b9) }", {**W1, **W9, "sz": ints(12, 0)}, None)
ENTRIES.add("rank1_all", "g (float[20] x) => (float[5] y) { a=MatMul(x,w1) r=Relu(a) t=Mul(r,sc) u=Add(t,b1) y=MatMul(u,w9) }", {"w1": (20, 12), "sc": (12,), "b1": (12,), "w9": (12, 5)}, None)
ENTRIES.add("rank1_weights", "g (float[N,20] x) => (float[N] y) { a=MatMul(x,w1) r=Relu(a) y=MatMul(r,w9) }", {"w1": (20, 12), "w9": (12,)}, None)
ENTRIES.add("dense_1in_1out", "g (float[N,1] x) => (float[N,1] y) { a=MatMul(x,w1) c=Add(a,b1) r=Relu(c) y=MatMul(r,w9) }", {"w1": (1, 12), "b1": (12,), "w9": (12, 1)}, None)
ENTRIES.add("dense_same_vec_both", "g (float[N,1] x) => (float[N,1] y) { a=MatMul(x,w1) c=Tanh(a) r=Relu(c) wt=Transpose(w1) y=MatMul(r,wt) }", {"w1": (1, 12)}, None)
ENTRIES.add("dense_gemm_vec_both", "g (float[N,1] x) => (float[N,1] y) { a=Gemm(x,w1) r=Relu(a) y=Gemm<transB=1>(r,w1) }", {"w1": (1, 12)}, None)
ENTRIES.add("two_axes_bilinear", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm<transB=1>(x,w2,b2) s=Tanh(c) p=Unsqueeze(r,a2) q=Unsqueeze(s,a1) o=MatMul(p,q) f=Flatten(o) y=Gemm<transB=1>(f,w9,b9) }", {**W1, "w2": (6, 20), "b2": (6,), "a1": ints(1), "a2": ints(2), "w9": (5, 72), "b9": (5,)}, None)
ENTRIES.add("outer_self", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) p=Unsqueeze(r,a2) q=Unsqueeze(r,a1) o=Mul(p,q) f=Flatten(o) y=Gemm<transB=1>(f,w9,b9) }", {**W1, "a1": ints(1), "a2": ints(2), "w9": (5, 144), "b9": (5,)}, None)
ENTRIES.add("reduce_composite", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) h=Reshape(a,s1) m=ReduceMax<axes=[2],keepdims=0>(h) n=ReduceMean<axes=[2],keepdims=0>(h) k=Add(m,n) y=Gemm<transB=1>(k,w9,b9) }", {"w1": (12, 20), "b1": (12,), "s1": ints(0, 4, 3), "w9": (5, 4), "b9": (5,)}, None)
ENTRIES.add("sum_composite_shift", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) h=Reshape(a,s1) m=ReduceSum<keepdims=0>(h,two) y=Gemm<transB=1>(m,w9,b9) }", {"w1": (12, 20), "b1": (12,), "s1": ints(0, 4, 3), "two": ints(2), "w9": (5, 4), "b9": (5,)}, None)
ENTRIES.add("qdq", "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) q=QuantizeLinear(r,sc,zp) d=DequantizeLinear(q,sc,zp) y=Gemm<transB=1>(d,w9,b9) }", {**W1, **W9, "sc": scalar(.05), "zp": np.array(3, np.uint8)}, None)
dense_case("reshape_channels_beside_input", f"{A} e=Slice(x,st,en,ax) k=Concat<axis=1>(r,e) h=Reshape(k,sh) t=Relu(h) m=Reshape(t,back) {END}", {"w1": (10, 20), "b1": (10,), "st": ints(0), "en": ints(10), "ax": ints(1), "sh": ints(0, 2, 10), "back": ints(0, 20), "w9": (5, 20)})
dense_case("reshape_input_beside_channels", f"{A} e=Slice(x,st,en,ax) k=Concat<axis=1>(e,r) h=Reshape(k,sh) t=Relu(h) m=Reshape(t,back) {END}", {"w1": (10, 20), "b1": (10,), "st": ints(0), "en": ints(10), "ax": ints(1), "sh": ints(0, 2, 10), "back": ints(0, 20), "w9": (5, 20)})
dense_case("slice_computed_elsewhere", f"{A} h=Shape(x) n=Slice(h,zero,one) p=Slice(r,zero,n,zero) m=Relu(p) {END}", {"zero": ints(0), "one": ints(1)})
dense_case("crop_of_sizes_by_cast", f"{A} h=Shape(x) n=Slice(h,zero,one) k=Cast<to=6>(n) j=Concat<axis=0>(k,wide) s=Cast<to=7>(j) p=Reshape(r,s) q=Reshape(x,s2) m=Relu(p) {END}", {"zero": ints(0), "one": ints(1), "wide": np.array([12], np.int32), "s2": ints(-1, 20)})
