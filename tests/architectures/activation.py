# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Element-wise functions: which rescalings they commute with, bounds, decomposed forms, constants."""

from __future__ import annotations

from .base import (
    ANY,
    COPY,
    POSITIVE,
    SIGN,
    Catalogue,
    Group,
    Plant,
    Weight,
    dense,
    floats,
    free,
    positive,
    scalar,
)

ENTRIES = Catalogue()
COMPLEMENT = "COPY|SIGN|ANY"
PLUS = Plant("scaled", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)}, drop=0)
MINUS = Plant("opposite sign", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)}, drop=0)
SHIFT = Plant("shifted", "w1", {"b1": (1.0, 0.5)}, drop=0)


def mirrored(twice_p: float) -> Plant:
    """w_j = -w_i and b_j = 2p - b_i: the complement of a point-symmetric function."""
    return Plant("complement", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, twice_p)})


def activation(
    name: str, body: str, symmetry: str, plants: tuple[Plant, ...] = (), **options: object
) -> None:
    """x -> Gemm(w1, b1) = a -> body, which defines r -> Gemm(w9, b9) = y; extra weights in `extra`."""
    extra: dict[str, Weight] = options.pop("extra", {})  # type: ignore[assignment]
    group: Group = free("w1", 10, symmetry)
    ENTRIES.vector(
        name,
        f"a=Gemm<transB=1>(x,w1,b1) {body} y=Gemm<transB=1>(r,w9,b9)",
        {**dense(10, 20), **extra},
        [group],
        plants=plants,
        **options,
    )


activation("tanh", "r=Tanh(a)", SIGN, (PLUS, SHIFT))
activation("erf", "r=Erf(a)", SIGN, (PLUS,))
activation("softsign", "r=Softsign(a)", SIGN, (PLUS,))
activation("sine", "r=Sin(a)", SIGN, (PLUS,))
activation("asinh", "r=Asinh(a)", SIGN)
activation("atan", "r=Atan(a)", SIGN)
EVEN = Plant("even", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)})
activation("cosine", "r=Cos(a)", "SIGN|COPY", (PLUS, EVEN))
activation("sigmoid", "r=Sigmoid(a)", COMPLEMENT, (PLUS, SHIFT, mirrored(0.0)))
activation("hard_sigmoid", "r=HardSigmoid<alpha=0.2,beta=0.5>(a)", COMPLEMENT, (PLUS, mirrored(0.0)))
activation(
    "hard_sigmoid_lopsided",
    "r=HardSigmoid<alpha=0.25,beta=0.25>(a)",
    COMPLEMENT,
    (PLUS, MINUS, mirrored(2.0)),
)
activation("relu", "r=Relu(a)", POSITIVE, (MINUS, SHIFT))
activation("leaky_relu", "r=LeakyRelu<alpha=0.1>(a)", POSITIVE, (MINUS, SHIFT))
activation("elu", "r=Elu<alpha=1.0>(a)", COPY, (PLUS, MINUS))
activation("selu", "r=Selu(a)", COPY, (PLUS,))
activation("celu", "r=Celu<alpha=2.0>(a)", COPY, (PLUS,), reference=False)  # has no float64 form
activation("softplus", "r=Softplus(a)", COPY, (PLUS, SHIFT))
activation("mish", "r=Mish(a)", COPY, (PLUS,), opset=20, ir=9)
activation("gelu", "r=Gelu(a)", COPY, (PLUS,), opset=20, ir=9)
activation("gelu_tanh", 'r=Gelu<approximate="tanh">(a)', COPY, (PLUS,), opset=20, ir=9)
activation("hard_swish", "r=HardSwish(a)", COPY, (PLUS,))
activation("thresholded_relu", "r=ThresholdedRelu<alpha=0.3>(a)", COPY, (PLUS,))
activation("shrink", "r=Shrink<bias=0.1,lambd=0.3>(a)", "COPY|SIGN", (PLUS,))
activation("absolute", "r=Abs(a)", ANY, (SHIFT,))
activation("negate", "r=Neg(a)", ANY)
activation("square_root", "q=Abs(a) r=Sqrt(q)", "ANY|POSITIVE", (SHIFT,))
activation("exponential", "r=Exp(a)", "COPY|POSITIVE|ANY", (PLUS, MINUS))
activation("exponential_shift", "r=Exp(a)", "COPY|POSITIVE|ANY", (Plant("shift", "w1", {"b1": (1.0, 0.5)}),))
activation("logarithm", "q=Exp(a) e=Add(q,one) r=Log(e)", COPY, (PLUS,), extra={"one": scalar(1.0)})
activation("square", "r=Pow(a,two)", "ANY|SIGN|POSITIVE", (SHIFT,), extra={"two": scalar(2.0)})
activation("square_by_mul", "r=Mul(a,a)", "COPY|SIGN|POSITIVE|ANY", (SHIFT,))
activation("relu6_tensor_bounds", "r=Clip(a,lo,hi)", COMPLEMENT, (PLUS, mirrored(6.0)), extra={
    "lo": scalar(0.0), "hi": scalar(6.0)})  # fmt: skip
activation("relu1_tensor_bounds", "r=Clip(a,lo,hi)", COMPLEMENT, (PLUS, mirrored(1.0)), extra={
    "lo": scalar(0.0), "hi": scalar(1.0)})  # fmt: skip
activation(
    "hard_tanh", "r=Clip(a,lo,hi)", "SIGN|COPY", (PLUS,), extra={"lo": scalar(-0.5), "hi": scalar(0.5)}
)
activation("clip_below_zero_only", "r=Clip(a,lo)", "POSITIVE|COPY", (MINUS,), extra={"lo": scalar(0.0)})
activation("clip_above_only", "r=Clip(a,,hi)", "COPY|POSITIVE", (PLUS,), extra={"hi": scalar(0.4)})
activation("relu6_attribute", "r=Clip<min=0.0,max=1.0>(a)", COMPLEMENT, (PLUS, mirrored(1.0)), opset=9, ir=4)
activation("clip_attribute_one_sided", "r=Clip<min=0.0>(a)", "POSITIVE|COPY", (MINUS,), opset=9, ir=4)
activation("relu_as_max", "r=Max(a,zero)", "COPY|POSITIVE", (MINUS,), extra={"zero": scalar(0.0)})
activation("relu6_as_min", "q=Relu(a) r=Min(q,six)", "COPY|POSITIVE", (PLUS,), extra={"six": scalar(0.5)})
activation("silu", "s=Sigmoid(a) r=Mul(a,s)", COPY, (PLUS, MINUS))
activation("silu_swapped", "s=Sigmoid(a) r=Mul(s,a)", COPY, (PLUS, MINUS))
activation("hard_swish_decomposed", "s=HardSigmoid<alpha=0.1666667,beta=0.5>(a) r=Mul(a,s)", COPY, (PLUS,))
activation(
    "hard_swish_by_clip",
    "t=Add(a,three) u=Clip(t,lo,hi) v=Mul(a,u) r=Div(v,six)",
    COPY,
    (PLUS, MINUS),
    extra={"three": scalar(3.0), "lo": scalar(0.0), "hi": scalar(6.0), "six": scalar(6.0)},
)
activation(
    "gelu_decomposed",
    "d=Div(a,root) e=Erf(d) f=Add(e,one) m=Mul(a,f) r=Mul(m,half)",
    COPY,
    (PLUS, MINUS),
    extra={"root": scalar(1.4142135), "one": scalar(1.0), "half": scalar(0.5)},
)
activation(
    "gelu_tanh_decomposed",
    "p=Pow(a,three) q=Mul(p,c1) s=Add(a,q) t=Mul(s,c2) u=Tanh(t) v=Add(u,one) h=Mul(a,half) r=Mul(h,v)",
    COPY,
    (PLUS,),
    extra={
        "three": scalar(3.0),
        "c1": scalar(0.044715),
        "c2": scalar(0.7978846),
        "one": scalar(1.0),
        "half": scalar(0.5),
    },
)
activation("mish_decomposed", "s=Softplus(a) t=Tanh(s) r=Mul(a,t)", COPY, (PLUS,))
activation("div_by_scalar", "d=Div(a,c) r=Relu(d)", POSITIVE, (SHIFT,), extra={"c": scalar(3.0)})
activation("div_by_vector", "d=Div(a,c) r=Relu(d)", POSITIVE, extra={"c": positive(10)}, plants=(
    Plant("divisor scaled", "w1", {"c": (0.5, 0.0)}),))  # fmt: skip
activation("mul_by_vector", "d=Mul(a,c) r=Relu(d)", POSITIVE, extra={"c": positive(10)}, plants=(
    Plant("factor scaled", "w1", {"c": (0.5, 0.0)}), Plant("factor of other sign", "w1", {"c": (-1.0, 0.0)}, drop=0)))  # fmt: skip
activation("mul_by_negative_scalar", "d=Mul(c,a) r=Relu(d)", POSITIVE, (MINUS,), extra={"c": scalar(-1.5)})
activation("sub_vector", "d=Sub(a,c) r=Relu(d)", POSITIVE, extra={"c": (10,)})
activation("sub_from_vector", "d=Sub(c,a) r=Relu(d)", POSITIVE, extra={"c": (10,)})
activation("sub_from_one", "s=Sigmoid(a) r=Sub(one,s)", COMPLEMENT, (PLUS,), extra={"one": scalar(1.0)})
activation("one_over", "s=Sigmoid(a) t=Add(s,one) r=Div(one,t)", COPY, (PLUS,), extra={"one": scalar(1.0)})
activation(
    "reciprocal", "q=Abs(a) t=Add(q,one) r=Reciprocal(t)", "COPY|SIGN", (PLUS,), extra={"one": floats(1.0)}
)
activation("mean_of_three", "q=Relu(a) s=Tanh(a) r=Mean(q,s,a)", COPY, (PLUS,))
activation("sum_of_three", "q=Relu(a) s=LeakyRelu<alpha=0.3>(a) r=Sum(q,s,a)", POSITIVE, (MINUS,))
