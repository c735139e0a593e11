"""Activations: one row each, in the words of `transfer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from scipy import special

from onnxdup.channels.relation import Array
from onnxdup.channels.rules.legacy import as_seen
from onnxdup.channels.rules.table import rule
from onnxdup.channels.tracer import Decline, Tracer
from onnxdup.channels.transfer import (
    Absolute,
    Even,
    Exponential,
    Homogeneous,
    Logarithm,
    Odd,
    PointSymmetric,
    Pointwise,
    Powers,
    Same,
    Slopes,
    Transfer,
)
from onnxdup.graph import Node

Attrs: TypeAlias = dict[str, Any]


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z)."""
    return np.asarray(special.expit(z))


def softplus(z: Array) -> Array:
    """log(1 + e^z)."""
    return np.logaddexp(0, z)


def elu(z: Array, alpha: float = 1.0) -> Array:
    """z for z > 0, alpha (e^z − 1) below."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def hard_sigmoid(z: Array, alpha: float, beta: float) -> Array:
    """clip(alpha z + beta, 0, 1)."""
    return np.clip(alpha * z + beta, 0, 1)


def clip(lo: float | None, hi: float | None) -> Transfer:
    """[0, ∞) and (−∞, 0] are homogeneous, [lo, hi] is symmetric about its middle, the rest passes copies."""
    lo = None if lo is None or lo <= -3.4e38 else lo
    hi = None if hi is None or hi >= 3.4e38 else hi

    def apply(z: Array) -> Array:
        return np.clip(z, -np.inf if lo is None else lo, np.inf if hi is None else hi)

    if lo is None and hi is None:
        return Same()
    if (lo == 0 and hi is None) or (hi == 0 and lo is None):
        return Homogeneous(apply, lean=1.0)
    if lo is not None and hi is not None and lo <= hi:
        return PointSymmetric(apply, (lo + hi) / 2, (lo + hi) / 2)
    return Pointwise(apply)


def _hard(attrs: Attrs) -> Transfer:
    alpha, beta = attrs.get("alpha", 0.2), attrs.get("beta", 0.5)
    if alpha == 0:
        return Pointwise(lambda z: hard_sigmoid(z, alpha, beta))
    return PointSymmetric(lambda z: hard_sigmoid(z, alpha, beta), (0.5 - beta) / alpha, 0.5)


def _leaky(attrs: Attrs) -> Transfer:
    alpha = attrs.get("alpha", 0.01)
    return Homogeneous(lambda z: np.where(z < 0, alpha * z, z), lean=1.0 + alpha)


def _thresholded(attrs: Attrs) -> Transfer:
    alpha = attrs.get("alpha", 1.0)
    apply = lambda z: np.where(z > alpha, z, 0.0)  # noqa: E731
    return Homogeneous(apply, lean=1.0) if alpha == 0 else Pointwise(apply)


def _shrink(attrs: Attrs) -> Transfer:
    bias, lambd = attrs.get("bias", 0.0), attrs.get("lambd", 0.5)
    return Odd(lambda z: np.where(z < -lambd, z + bias, np.where(z > lambd, z - bias, 0.0)))


GELU_C = float(np.sqrt(2 / np.pi))


def _gelu(attrs: Attrs) -> Transfer:
    if attrs.get("approximate", "none") in ("tanh", b"tanh"):
        return Pointwise(lambda z: 0.5 * z * (1 + np.tanh(GELU_C * (z + 0.044715 * z**3))), lean=1.0)
    return Pointwise(lambda z: 0.5 * z * (1 + special.erf(z / np.sqrt(2))), lean=1.0)


def _softplus(attrs: Attrs) -> Transfer:
    alpha, beta = attrs.get("alpha", 1.0), attrs.get("beta", 1.0)
    return Pointwise(lambda z: alpha * softplus(beta * z), lean=alpha * beta)


def _swish(factor: float) -> Transfer:
    return Pointwise(lambda z: z * sigmoid(factor * z), lean=1.0)


def _selu(attrs: Attrs) -> Transfer:
    alpha, gamma = (
        attrs.get("alpha", 1.67326319217681884765625),
        attrs.get("gamma", 1.05070102214813232421875),
    )
    return Pointwise(lambda z: gamma * elu(z, alpha))


ACTIVATIONS: dict[str, Callable[[Attrs], Transfer]] = {
    "Relu": lambda a: Homogeneous(lambda z: np.maximum(z, 0), lean=1.0),
    "LeakyRelu": _leaky,
    "ThresholdedRelu": _thresholded,
    "Abs": lambda a: Absolute(np.abs),
    "Neg": lambda a: _negate(),
    "Affine": lambda a: _affine(**a),
    "Tanh": lambda a: Odd(np.tanh),
    "ScaledTanh": lambda a: Odd(lambda z: a.get("alpha", 1.0) * np.tanh(a.get("beta", 1.0) * z)),
    "Erf": lambda a: Odd(special.erf),
    "Sin": lambda a: Odd(np.sin),
    "Sinh": lambda a: Odd(np.sinh),
    "Asinh": lambda a: Odd(np.arcsinh),
    "Atan": lambda a: Odd(np.arctan),
    "Asin": lambda a: Odd(np.arcsin),
    "Atanh": lambda a: Odd(np.arctanh),
    "Tan": lambda a: Odd(np.tan),
    "Softsign": lambda a: Odd(lambda z: z / (1 + np.abs(z))),
    "Shrink": _shrink,
    "Cos": lambda a: Even(np.cos),
    "Cosh": lambda a: Even(np.cosh),
    "Sigmoid": lambda a: PointSymmetric(sigmoid, 0.0, 0.5),
    "HardSigmoid": _hard,
    "Sqrt": lambda a: Powers(np.sqrt, np.sqrt),
    "Reciprocal": lambda a: Powers(np.reciprocal, np.reciprocal, odd=True),
    "Sign": lambda a: Powers(np.sign, np.ones_like, odd=True),
    "Exp": lambda a: Exponential(np.exp),
    "Log": lambda a: Logarithm(np.log),
    "Elu": lambda a: Pointwise(lambda z: elu(z, a.get("alpha", 1.0))),
    "Celu": lambda a: Pointwise(
        lambda z: np.maximum(z, 0) + np.minimum(0, a.get("alpha", 1.0) * np.expm1(z / a.get("alpha", 1.0)))
    ),
    "Selu": _selu,
    "Gelu": _gelu,
    "com.microsoft::Gelu": _gelu,
    "com.microsoft::FastGelu": lambda a: _gelu({"approximate": "tanh"}),
    "com.microsoft::QuickGelu": lambda a: _swish(a.get("alpha", 1.702)),
    "Silu": lambda a: _swish(1.0),
    "Swish": lambda a: _swish(a.get("alpha", 1.0)),
    "HardSwish": lambda a: Pointwise(lambda z: z * hard_sigmoid(z, 1 / 6, 0.5), lean=1.0),
    "Softplus": lambda a: _softplus({}),
    "ParametricSoftplus": _softplus,
    "Mish": lambda a: Pointwise(lambda z: z * np.tanh(softplus(z))),
    "Acos": lambda a: Pointwise(np.arccos),
    "Acosh": lambda a: Pointwise(np.arccosh),
    "Floor": lambda a: Pointwise(np.floor),
    "Ceil": lambda a: Pointwise(np.ceil),
    "Round": lambda a: Pointwise(np.round),
}

_WORDS: dict[type, str] = {
    Homogeneous: "a > 0",
    Absolute: "a ≠ 0 → |a|",
    Odd: "a = ±1",
    Even: "a = ±1 → 1",
    PointSymmetric: "copies and complements",
    Powers: "a > 0 → ψ(a)",
    Exponential: "a = 1, any κ",
    Logarithm: "a > 0 → κ",
    Pointwise: "copies",
}


def _negate() -> Transfer:
    from onnxdup.channels.transfer import Affine

    return Affine(scale=-1.0)


def _affine(alpha: float = 1.0, beta: float = 0.0, **others: object) -> Transfer:
    from onnxdup.channels.transfer import Affine

    return Affine(scale=alpha, shift=beta)


def _activation(t: Tracer, n: Node) -> None:
    from onnxdup.channels.rules.table import key

    activate(t, n, n.inputs[0], n.outputs[0], ACTIVATIONS[key(n)](dict(n.attrs)))


def activate(t: Tracer, n: Node, x: str, y: str, transfer: Transfer) -> None:
    """`y` carries the channels of `x` through an activation."""
    if t.carries(x):
        t.place(y, t.ids(x))
        t.step(n, [x], transfer, y)


for _name, _make in ACTIVATIONS.items():
    rule(_name, kind="activation", passes=_WORDS.get(type(_make({})), "any a"))(_activation)


@rule("Clip", kind="activation", passes="[0, ∞): a > 0; [lo, hi]: copies and complements")
def clipping(t: Tracer, n: Node) -> None:
    """Bounds from attributes (opset < 11) or constant inputs."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    bounds = [n.attrs.get("min"), n.attrs.get("max")]
    for k in (1, 2):
        if k < len(n.inputs) and n.inputs[k]:
            bounds[k - 1] = t.scalar(n, k, None)
            if bounds[k - 1] is None:
                raise Decline("Clip with computed bounds")
    activate(t, n, x, n.outputs[0], clip(*bounds))


@rule("PRelu", kind="activation", passes="a > 0 with equal slopes, a < 0 with reciprocal slopes")
def prelu(t: Tracer, n: Node) -> None:
    """Slope per channel, or one for all."""
    x = n.inputs[0]
    if t.carries(x):
        slope, _ = t.parameter(n, 1, t.rank(x), x, seen=as_seen(t, n, 1))
        activate(t, n, x, n.outputs[0], Slopes(slope))
