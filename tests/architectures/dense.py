# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Fully connected nets: Gemm in every form, MatMul with Add, the constant on either side."""

from __future__ import annotations

from .base import ANY, COPY, POSITIVE, Catalogue, Plant, dense, floats, free, frozen, ints, scalar

ENTRIES = Catalogue()
HIDDEN = free("w1", 16, POSITIVE)
SCALED_ALONE = Plant("bias ignored", "w1", {"w1": (2.0, 0.0), "b1": (1.0, 0.25)}, drop=0)

ENTRIES.vector(
    "mlp",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm(r,w2,b2) s=Relu(c) y=Gemm<transB=1>(s,w9,b9)",
    {"w1": (16, 20), "b1": (16,), "w2": (16, 12), "b2": (12,), "w9": (5, 12), "b9": (5,)},
    [HIDDEN, free("w2", 12, POSITIVE)],
    plants=[
        SCALED_ALONE,
        Plant("negative scale", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)}, drop=0),
        Plant("shifted", "w1", {"w1": (1.0, 0.0), "b1": (1.0, 0.5)}, drop=0),
    ],
)
ENTRIES.vector(
    "gemm_alpha_beta",
    "a=Gemm<transB=1,alpha=0.5,beta=2.0>(x,w1,b1) r=Relu(a) y=Gemm<transB=1,alpha=2.0,beta=0.25>(r,w9,b9)",
    dense(16, 20),
    [HIDDEN],
    plants=[
        Plant("negative scale", "w1", {"w1": (-1.5, 0.0), "b1": (-1.5, 0.0)}, drop=0),
        Plant("constant", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)}),
    ],
)
ENTRIES.vector(
    "gemm_bias_row",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)",
    {**dense(16, 20), "b1": (1, 16), "b9": (1, 5)},
    [HIDDEN],
    plants=[SCALED_ALONE, Plant("constant", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)})],
)
ENTRIES.vector(
    "gemm_bias_scalar",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)",
    {**dense(16, 20), "b1": scalar(0.3)},
    [free("w1", 16, "COPY|POSITIVE|ANY")],
    plants=[
        Plant("scaled weights, one bias for all", "w1", {"w1": (2.0, 0.0)}, drop=0),
        Plant("constant", "w1", {"w1": (0.0, 0.0)}),
    ],
)
ENTRIES.vector(
    "gemm_bias_one",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)",
    {**dense(16, 20), "b1": floats(0.3), "b9": floats(-0.2)},
    [free("w1", 16, "COPY|POSITIVE|ANY")],
    plants=[Plant("scaled weights, one bias for all", "w1", {"w1": (2.0, 0.0)}, drop=0)],
)
ENTRIES.vector(
    "gemm_no_bias",
    "a=Gemm<transB=1>(x,w1) r=Relu(a) y=Gemm<transB=1>(r,w9)",
    {"w1": (16, 20), "w9": (5, 16)},
    [HIDDEN],
    plants=[Plant("dead", "w1", {"w1": (0.0, 0.0)})],
)
ENTRIES.add(
    "gemm_bias_per_row_of_a",
    "g (float[4,20] x) => (float[4,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }",
    {**dense(16, 20), "b1": (4, 1)},
    [free("w1", 16, "COPY|POSITIVE|ANY")],
    plants=[Plant("scaled weights, one bias for all", "w1", {"w1": (2.0, 0.0)}, drop=0)],
)
ENTRIES.add(
    "gemm_bias_full",
    "g (float[4,20] x) => (float[4,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }",
    {**dense(16, 20), "b1": (4, 16)},
    [HIDDEN],
)
ENTRIES.add(
    "gemm_trans_a",
    "g (float[20,4] x) => (float[4,5] y) { a=Gemm<transA=1,transB=1>(x,w1,b1) r=Relu(a) "
    "t=Transpose<perm=[1,0]>(r) y=Gemm<transA=1>(t,w9,b9) }",
    {**dense(16, 20), "w9": (16, 5)},
    [HIDDEN, frozen("w9", 5, "output of the model")],
)
ENTRIES.vector(
    "gemm_constant_as_a",
    "t=Transpose<perm=[1,0]>(x) a=Gemm(w1,t,b1) r=Relu(a) q=Gemm(w9,r,b9) y=Transpose<perm=[1,0]>(q)",
    {**dense(16, 20), "b1": (16, 1), "b9": (5, 1)},
    None,
)
ENTRIES.vector(
    "matmul_add",
    "m=MatMul(x,w1) a=Add(m,b1) r=Relu(a) n=MatMul(r,w2) c=Add(b2,n) s=Relu(c) k=MatMul(s,w9) y=Add(k,b9)",
    {"w1": (20, 16), "b1": (16,), "w2": (16, 12), "b2": (12,), "w9": (12, 5), "b9": (5,)},
    [HIDDEN, free("w2", 12, POSITIVE)],
    plants=[
        Plant("constant", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)}),
        Plant("dead", "w2", {"w2": (0.0, 0.0), "b2": (0.0, -0.7)}),
        SCALED_ALONE,
    ],
)
ENTRIES.vector(
    "matmul_constant_no_consumer_bias",
    "m=MatMul(x,w1) a=Add(m,b1) r=Relu(a) y=MatMul(r,w9)",
    {"w1": (20, 16), "b1": (16,), "w9": (16, 5)},
    [HIDDEN],
    plants=[Plant("constant: the consumer has no bias yet", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)})],
)
ENTRIES.add(
    "matmul_constant_left",
    "g (float[20,6] x) => (float[5,6] y) { m=MatMul(w1,x) a=Add(m,b1) r=Relu(a) k=MatMul(w9,r) y=Add(k,b9) }",
    {**dense(16, 20), "b1": (16, 1), "b9": (5, 1)},
    [HIDDEN, frozen("w9", 5, "output of the model")],
)
ENTRIES.add(
    "matmul_vector_input",
    "g (float[20] x) => (float[5] y) { m=MatMul(w1,x) a=Add(m,b1) r=Relu(a) k=MatMul(w9,r) y=Add(k,b9) }",
    dense(16, 20),
    [HIDDEN, frozen("w9", 5, "output of the model")],
)
ENTRIES.vector(
    "linear_chain",
    "a=Gemm<transB=1>(x,w1,b1) c=Gemm<transB=1>(a,w2,b2) y=Gemm<transB=1>(c,w9,b9)",
    {"w1": (16, 20), "b1": (16,), "w2": (12, 16), "b2": (12,), "w9": (5, 12), "b9": (5,)},
    [free("w1", 16, ANY), free("w2", 12, ANY)],
    plants=[
        Plant("a shift survives linear layers", "w1", {"w1": (-0.7, 0.0), "b1": (-0.7, 0.5)}),
        Plant("constant", "w2", {"w2": (0.0, 0.0), "b2": (0.0, 0.7)}),
    ],
)
ENTRIES.add(
    "mlp_tokens",
    "g (float[N,7,20] x) => (float[N,7,5] y) "
    "{ m=MatMul(x,w1) a=Add(m,b1) r=Relu(a) k=MatMul(r,w9) y=Add(k,b9) }",
    {"w1": (20, 16), "b1": (16,), "w9": (16, 5), "b9": (5,)},
    [HIDDEN, frozen("w9", 5, "output of the model")],
)
ENTRIES.vector(
    "mlp_dropout",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) d=Dropout(r) i=Identity(d) y=Gemm<transB=1>(i,w9,b9)",
    dense(16, 20),
    [HIDDEN],
)
ENTRIES.vector(
    "mlp_dropout_opset9",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) d=Dropout<ratio=0.5>(r) y=Gemm<transB=1>(d,w9,b9)",
    dense(16, 20),
    [HIDDEN],
    opset=9,
    ir=4,
)
ENTRIES.vector(
    "batched_constant_matmul",
    "u=Unsqueeze(x,ax) m=MatMul(u,w1) r=Relu(m) k=MatMul(r,w2) y=ReduceSum<keepdims=0>(k,ax)",
    {"w1": (2, 20, 8), "w2": (2, 8, 5), "ax": ints(0)},
    None,
)
ENTRIES.vector(
    "unread_hidden_layer",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) s=Gemm<transB=1>(x,w2,b2) t=Sigmoid(s)",
    {**dense(16, 20), "w2": (6, 20), "b2": (6,)},
    None,
)
ENTRIES.vector(
    "two_readers",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) p=Gemm<transB=1>(r,w2) q=Tanh(r) k=Gemm<transB=1>(q,w9,b9) y=Add(p,k)",
    {**dense(16, 20), "w2": (5, 16)},
    [free("w1", 16, COPY)],
    plants=[Plant("one reader is not homogeneous", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)}, drop=0)],
)
