# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""What must not be touched: unknown operators, graph outputs, mixing and ranking over channels."""

from __future__ import annotations

from .base import POSITIVE, Catalogue, dense, free, frozen, ints, scalar

ENTRIES = Catalogue()
OUT = frozen("w9", 5, "output of the model")
LAST = "y=Gemm<transB=1>(r,w9,b9)"


def barrier(name: str, body: str, why: str, extra: dict | None = None, **options: object) -> None:  # type: ignore[type-arg]
    """Gemm w1 = a -> body, which defines r -> Gemm w9: w1 is frozen for `why`."""
    weights = {**dense(16, 20), **(extra or {})}
    ENTRIES.vector(
        name, f"a=Gemm<transB=1>(x,w1,b1) {body} {LAST}", weights, [frozen("w1", 16, why)], **options
    )


barrier("unknown_cumsum", "r=CumSum(a,ax)", "no rule", {"ax": ints(1).reshape(())})
barrier("unknown_hardmax", "h=Hardmax<axis=1>(a) r=Add(h,a)", "")
ENTRIES.add(
    "unknown_domain",
    "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=com.microsoft.BiasGelu(a,c1) "
    "y=Gemm<transB=1>(r,w9,b9) }",
    {**dense(16, 20), "c1": (16,)},
    [frozen("w1", 16, "no rule")],
    domains={"com.microsoft": 1},
    reference=False,
)
barrier("top_k_over_channels", "v,r0=TopK<axis=1>(a,k) r=Identity(v)", "", {"k": ints(16)})
barrier("arg_max_over_channels", "i=ArgMax<axis=1>(a) f=Cast<to=1>(i) r=Mul(a,f)", "")
barrier("softmax_over_hidden", "r=Softmax(a)", "over channels")
barrier("log_softmax_over_hidden", "r=LogSoftmax<axis=1>(a)", "over channels")
ENTRIES.vector(
    "activation_times_itself_transposed",
    "a=Gemm<transB=1>(x,w1,b1) t=Transpose<perm=[1,0]>(a) p=MatMul(a,t) r=MatMul(p,a) y=Gemm<transB=1>(r,w9,b9)",
    dense(16, 20),
    [frozen("w1", None, "product")],
)
barrier("trilu", "r=Trilu(a)", "no rule")

ENTRIES.add(
    "output_inside",
    "g (float[N,20] x) => (float[N,5] y, float[N,16] r) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) "
    "c=Gemm<transB=1>(r,w2,b2) s=Relu(c) y=Gemm<transB=1>(s,w9,b9) }",
    {**dense(12, 20), "w1": (16, 20), "b1": (16,), "w2": (12, 16), "b2": (12,)},
    [frozen("w1", 16, "output of the model"), free("w2", 12, POSITIVE), OUT],
)
ENTRIES.add(
    "output_of_residual_stream",
    "g (float[N,3,8,8] x) => (float[N,5] y, float[N,8,8,8] z) { a=Conv(x,w0,b0) c=Conv<pads=[1,1,1,1]>(a,w1,b1) "
    "q=Relu(c) d=Conv<pads=[1,1,1,1]>(q,w2,b2) z=Add(a,d) p=GlobalAveragePool(z) f=Flatten(p) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {
        "w0": (8, 3, 1, 1),
        "b0": (8,),
        "w1": (6, 8, 3, 3),
        "b1": (6,),
        "w2": (8, 6, 3, 3),
        "b2": (8,),
        "w9": (5, 8),
        "b9": (5,),
    },
    [frozen("w0", 8, "output of the model"), free("w1", 6, POSITIVE), OUT],
)
ENTRIES.add(
    "two_outputs_two_heads",
    "g (float[N,20] x) => (float[N,5] y, float[N,3] z) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) "
    "y=Gemm<transB=1>(r,w9,b9) c=Gemm<transB=1>(r,w8,b8) z=Softmax(c) }",
    {**dense(16, 20), "w8": (3, 16), "b8": (3,)},
    [free("w1", 16, POSITIVE), OUT, frozen("w8", 3)],
)
ENTRIES.add(
    "shape_is_an_output",
    "g (float[N,20] x) => (float[N,5] y, int64[2] z) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) z=Shape(r) "
    "y=Gemm<transB=1>(r,w9,b9) }",
    dense(16, 20),
    [frozen("w1", 16), OUT],
)
ENTRIES.vector(
    "size_enters_the_arithmetic",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) s=Shape(r) k=Gather<axis=0>(s,one) f=Cast<to=1>(k) q=Div(r,f) "
    "y=Gemm<transB=1>(q,w9,b9)",
    {**dense(16, 20), "one": ints(1).reshape(())},
    [frozen("w1", 16)],
)
ENTRIES.vector(
    "where_constant",
    "a=Gemm<transB=1>(x,w1,b1) q=Greater(a,zero) r=Where(q,a,zero) y=Gemm<transB=1>(r,w9,b9)",
    {**dense(16, 20), "zero": scalar(0.0)},
    None,
)
ENTRIES.vector(
    "scan_over_time",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) z=Scan<num_scan_inputs=1, body = b (float[16] s) => (float[16] t) "
    "{ t=Neg(s) }>(r) y=Gemm<transB=1>(z,w9,b9)",
    dense(16, 20),
    [frozen("w1", 16)],
)
ENTRIES.vector(
    "runtime_operator",
    "a=Gemm<transB=1>(x,w1,b1) r=com.microsoft.QuickGelu(a) y=Gemm<transB=1>(r,w9,b9)",
    dense(16, 20),
    None,
    domains={"com.microsoft": 1},
    reference=False,
)
