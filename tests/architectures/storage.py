# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Where weights live: Constant nodes, behind other operators, listed as inputs, other float types."""

from __future__ import annotations

import numpy as np

from .base import COPY, POSITIVE, Catalogue, Plant, dense, free, frozen, ints

ENTRIES = Catalogue()
OUT = frozen("w9", 5, "output of the model")
HIDDEN = free("w1", 16, POSITIVE)
PLAIN = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)"


def literal(shape: tuple[int, ...], seed: int) -> str:
    """Random numbers as the text of a tensor literal."""
    numbers = np.random.default_rng(seed).normal(size=shape).round(4).ravel()
    return f"float[{','.join(map(str, shape))}] {{{', '.join(map(str, numbers))}}}"


ENTRIES.vector(
    "constant_nodes",
    f"w1=Constant<value={literal((6, 20), 1)}>() b1=Constant<value={literal((6,), 2)}>() "
    f"w9=Constant<value={literal((5, 6), 3)}>() b9=Constant<value={literal((5,), 4)}>() {PLAIN}",
    {},
    [free("w1", 6, POSITIVE), OUT],
)
ENTRIES.vector(
    "constant_value_floats",
    "b1=Constant<value_floats=[0.1,-0.2,0.3,0.4]>() c1=Constant<value_float=0.5>() "
    "a=Gemm<transB=1>(x,w1,b1) m=Mul(a,c1) r=Relu(m) y=Gemm<transB=1>(r,w9,b9)",
    {"w1": (4, 20), "w9": (5, 4), "b9": (5,)},
    [free("w1", 4, POSITIVE)],
)
ENTRIES.vector(
    "behind_transpose",
    "t=Transpose<perm=[1,0]>(w1) m=MatMul(x,t) a=Add(m,b1) r=Relu(a) u=Transpose(w9) k=MatMul(r,u) y=Add(k,b9)",
    dense(16, 20),
    [HIDDEN],
)
ENTRIES.vector(
    "behind_identity",
    "t=Identity(w1) i=Identity(b1) a=Gemm<transB=1>(x,t,i) r=Relu(a) u=Identity(w9) v=Identity(u) "
    "y=Gemm<transB=1>(r,v,b9)",
    dense(16, 20),
    [HIDDEN],
)
ENTRIES.vector(
    "behind_cast",
    "t=Cast<to=1>(w1) a=Gemm<transB=1>(x,t,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)",
    {**dense(16, 20), "w1": np.random.default_rng(5).normal(size=(16, 20)).astype(np.float16)},
    [free("w1", 16, "COPY|POSITIVE")],
    plants=[Plant("scaled by a power of two", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)})],
    reference=False,  # float64 would lose the rounding that the cast stands for
)
ENTRIES.vector(
    "behind_reshape",
    "t=Reshape(w1,sh) a=Gemm<transB=1>(x,t,b1) r=Relu(a) u=Reshape(w9,si) y=Gemm<transB=1>(r,u,b9)",
    {**dense(16, 20), "w1": (16, 4, 5), "sh": ints(16, 20), "w9": (5, 2, 8), "si": ints(5, 16)},
    None,
)
ENTRIES.vector(
    "behind_unsqueeze",
    "m=MatMul(x,w1) i=Unsqueeze(b1,ax) a=Add(m,i) r=Relu(a) y=MatMul(r,w9)",
    {"w1": (20, 16), "b1": (16,), "ax": ints(0), "w9": (16, 5)},
    [HIDDEN],
)
ENTRIES.vector(
    "listed_as_input_ir3", PLAIN, dense(16, 20), [HIDDEN], opset=8, ir=3, listed=("w1", "b1", "w9", "b9")
)
ENTRIES.add(
    "listed_as_input_ir8",
    f"g (float[N,20] x) => (float[N,5] y) {{ {PLAIN} }}",
    dense(16, 20),
    [frozen("w1", 16, "input"), frozen("w9", 5, "input")],
    listed=("w1", "b1", "w9", "b9"),
)
ENTRIES.vector("bias_overridable_ir8", PLAIN, dense(16, 20), [frozen("w1", 16)], listed=("b1",))
ENTRIES.add(
    "weight_is_output_too",
    f"g (float[N,20] x) => (float[N,5] y, float[16,20] z) {{ z=Identity(w1) {PLAIN} }}",
    dense(16, 20),
    [frozen("w1", 16), OUT],
)
ENTRIES.add(
    "float16",
    "g (float16[N,20] x) => (float16[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }",
    dense(16, 20),
    [HIDDEN, OUT],
    tolerance=1e-2,
)
ENTRIES.add(
    "float64",
    "g (double[N,20] x) => (double[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9) }",
    dense(16, 20),
    [HIDDEN, OUT],
    tolerance=1e-12,
)
ENTRIES.add(
    "float16_weights_float32_compute",
    "g (float16[N,3,6,6] x) => (float16[N,5] y) { a=Conv(x,w1,b1) r=Relu(a) h=Cast<to=1>(r) "
    "p=GlobalAveragePool(h) f=Flatten(p) c=Cast<to=10>(f) y=Gemm<transB=1>(c,w9,b9) }",
    {"w1": (12, 3, 3, 3), "b1": (12,), "w9": (5, 12), "b9": (5,)},
    [free("w1", 12, COPY), OUT],
    tolerance=1e-2,
)
ENTRIES.vector(
    "captured_by_if",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) k=ReduceSum<keepdims=0>(x) q=Greater(k,zero) "
    "u=If(q)<then_branch = t () => (float[16] i) { i=Identity(b1) }, "
    "else_branch = e () => (float[16] j) { j=Neg(b1) }> z=Add(r,u) y=Gemm<transB=1>(z,w9,b9)",
    {**dense(16, 20), "zero": np.array(0.0, np.float32)},
    [frozen("w1", 16)],
)
ENTRIES.vector(
    "captured_and_read",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) k=ReduceSum<keepdims=0>(x) q=Greater(k,zero) "
    "z=If(q)<then_branch = t () => (float[N,16] i) { i=Identity(r) }, "
    "else_branch = e () => (float[N,16] j) { j=Neg(r) }> c=Gemm<transB=1>(r,w9,b9) d=Gemm<transB=1>(z,w8) y=Add(c,d)",
    {**dense(16, 20), "w8": (5, 16), "zero": np.array(0.0, np.float32)},
    [frozen("w1", 16, "subgraph")],
)
ENTRIES.vector(
    "captured_activation",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) k=ReduceSum<keepdims=0>(x) q=Greater(k,zero) "
    "z=If(q)<then_branch = t () => (float[N,16] i) { i=Identity(r) }, "
    "else_branch = e () => (float[N,16] j) { j=Neg(r) }> y=Gemm<transB=1>(z,w9,b9)",
    {**dense(16, 20), "zero": np.array(0.0, np.float32)},
    [frozen("w1", 16)],
)
ENTRIES.vector("unused_initializer", PLAIN, {**dense(16, 20), "unused": (16, 3)}, [HIDDEN])
ENTRIES.vector(
    "quantized_weight",
    "t=DequantizeLinear(w1,scale,zero) a=Gemm<transB=1>(x,t,b1) r=Relu(a) y=Gemm<transB=1>(r,w9,b9)",
    {
        **dense(16, 20),
        "w1": np.random.default_rng(6).integers(-99, 99, (16, 20)).astype(np.int8),
        "scale": np.array(0.01, np.float32),
        "zero": np.array(0, np.int8),
    },
    None,
    opset=19,
    ir=9,
    reference=False,
)
