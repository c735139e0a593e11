"""Operators as they were before opset 7: which forms mean what today's rules assume, and which do not.

Then the second operand of arithmetic was broadcast along an attribute `axis`, only with `broadcast` = 1;
Dropout and BatchNormalization trained unless `is_test` was set; slopes of PRelu had one axis; attributes
`consumed_inputs` were hints for memory. Forms whose meaning is not certain are declined.
Source: the change log of the ONNX operators (Changelog.md, versions 1 to 6).
"""

from __future__ import annotations

from dataclasses import replace

from onnxdup.channels.constants import Constant
from onnxdup.channels.tracer import Decline, Tracer
from onnxdup.graph import Node

OLDEST = 7
SAME = frozenset(
    {
        "Conv",
        "ConvTranspose",
        "MatMul",
        "InstanceNormalization",
        "MaxPool",
        "AveragePool",
        "LpPool",
        "Identity",
    }
    | {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "Relu", "LeakyRelu", "ThresholdedRelu", "Elu"}
    | {"Sigmoid", "Tanh", "HardSigmoid", "Softplus", "Softsign", "ScaledTanh", "Affine", "ParametricSoftplus"}
    | {"Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal", "Floor", "Ceil", "Clip", "Crop", "Transpose", "Pad"}
    | {"Flatten", "Squeeze", "Unsqueeze", "Concat", "Reshape", "Slice", "DepthToSpace", "SpaceToDepth"}
    | {"Shape", "Size", "Gather", "Upsample", "Cast"}
)
"""Old forms that mean the same in every version, or that their rules tell apart by their attributes."""
VERSIONED = frozenset(
    {"Softmax", "LogSoftmax", "Hardmax", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1"}
    | {"ReduceL2", "ReduceSumSquare", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp", "ArgMax", "ArgMin"}
    | {"LRN", "LpNormalization", "TopK", "Split", "PRelu", "Dropout", "BatchNormalization", "Selu"}
)
"""These the version decides, or an attribute of old files: not where a file names no version."""
ALIKE = frozenset({"Sum", "Mean", "Max", "Min"})
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow"})


def check_old(t: Tracer, n: Node) -> None:
    """Declines a node before opset 7 whose meaning is not that of today's rules."""
    name, opset = n.op_type, t.document.opset()
    if name in VERSIONED and opset == 0:
        raise Decline(f"{name} in a file that names no operator set")
    if name in ("Dropout", "BatchNormalization") and not n.attrs.get("is_test", 0):
        raise Decline(f"{name} without is_test, which trains before opset 7")
    if name == "Selu" and not ("alpha" in n.attrs and "gamma" in n.attrs):
        raise Decline("Selu with the constants of an old operator set")
    if name == "Gemm":
        _old_gemm(t, n)
    elif name in ALIKE and not all(_fits(_shape(t, n, 0), _shape(t, n, k)) for k in range(len(n.inputs))):
        raise Decline(f"{name} of different shapes before opset 7")
    elif name in ARITHMETIC:
        _old_arithmetic(t, n)
    elif n.domain or name not in SAME | VERSIONED | ALIKE | {"Gemm"}:
        raise Decline(f"{name} as it was before opset 7")


def _old_gemm(t: Tracer, n: Node) -> None:
    bias = t.need(n, 2, "bias")
    if not n.attrs.get("broadcast", 0) and len(bias.shape) != 2:
        raise Decline("Gemm with a bias that it does not say to broadcast")


def _old_arithmetic(t: Tracer, n: Node) -> None:
    """Without `broadcast` both shapes are equal; with it the second fits onto axes of the first, or is one
    number.
    """
    first, second = (_shape(t, n, k) for k in (0, 1))
    if not n.attrs.get("broadcast", 0):
        if not _fits(first, second):
            raise Decline(f"{n.op_type} of different shapes without broadcast, before opset 7")
        return
    if all(d == 1 for d in second):
        return
    axis = int(n.attrs.get("axis", len(first) - len(second)))
    if axis < 0 or not _fits(first[axis : axis + len(second)], second):
        raise Decline(f"{n.op_type} whose operands do not fit, before opset 7")
    if axis + len(second) < len(first) and t.constant(n, 1) is None:
        raise Decline(f"{n.op_type} with an activation broadcast along an axis, before opset 7")


def _shape(t: Tracer, n: Node, slot: int) -> tuple[int | None, ...]:
    held = t.constant(n, slot)
    return held.shape if held is not None else t.lengths(n.inputs[slot])


def _fits(a: tuple[int | None, ...], b: tuple[int | None, ...]) -> bool:
    """Equal, as far as both are known."""
    return len(a) == len(b) and all(x == y or x is None or y is None for x, y in zip(a, b, strict=True))


def as_seen(t: Tracer, n: Node, slot: int) -> Constant | None:
    """The constant operand of an old node with the axes that numpy would need behind it; None where it is as
    it should be.
    """
    if t.document.opset() >= OLDEST:
        return None
    held = t.constant(n, slot)
    if held is None or all(d == 1 for d in held.shape) or slot == 0:
        return None
    rank = t.rank(n.inputs[0])
    if n.op_type == "PRelu":
        if len(held.shape) != 1:
            raise Decline("PRelu with slopes on several axes, before opset 7")
        return _behind(held, rank - 2)
    if not n.attrs.get("broadcast", 0):
        return None
    axis = int(n.attrs.get("axis", rank - len(held.shape)))
    return _behind(held, rank - axis - len(held.shape))


def _behind(held: Constant, count: int) -> Constant | None:
    """The constant with `count` axes of length 1 behind its own."""
    if count <= 0:
        return None
    if held.chain or held.axes is None or held.quantised:
        raise Decline("an operand behind other operators, before opset 7")
    shape = (*held.shape, *[1] * count)
    return replace(
        held, shape=shape, axes=(*held.axes, *[None] * count), read=lambda: held.read().reshape(shape)
    )
