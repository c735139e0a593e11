"""Shapes behind operators of early ONNX that onnx cannot infer: experimental ones, and first versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from onnx import GraphProto, NodeProto, TensorShapeProto, TypeProto
from onnx.helper import get_attribute_value

Dims = Sequence[TensorShapeProto.Dimension]


def _same(node: NodeProto, dims: Dims) -> list[int | None]:
    return [d.dim_value if d.HasField("dim_value") else None for d in dims]


def _crop(node: NodeProto, dims: Dims) -> list[int | None]:
    """`border` is left, top, right, bottom; `scale`, where given, height and width of what stays."""
    given = {a.name: get_attribute_value(a) for a in node.attribute}
    left, top, right, bottom = given["border"]
    *rest, height, width = _same(node, dims)
    if given.get("scale"):
        return [*rest, *given["scale"]]
    return [
        *rest,
        height - top - bottom if height is not None else None,
        width - left - right if width is not None else None,
    ]


_UNARY = (  # their first versions come without inference
    *(
        "Abs",
        "BatchNormalization",
        "Ceil",
        "Clip",
        "Dropout",
        "Elu",
        "Exp",
        "Floor",
        "HardSigmoid",
        "Identity",
    ),
    *("InstanceNormalization", "LeakyRelu", "Log", "Neg", "PRelu", "Reciprocal", "Relu", "Selu", "Sigmoid"),
    *("Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
)
LEGACY: dict[str, Callable[[NodeProto, Dims], list[int | None]]] = {
    **dict.fromkeys(_UNARY, _same),
    "Crop": _crop,
    "Affine": _same,
    "ImageScaler": _same,
    "ScaledTanh": _same,
    "ParametricSoftplus": _same,
}


def declare_legacy(graph: GraphProto) -> bool:
    """Declare shapes behind such operators where those before them are known; was there any?"""
    types = {v.name: v.type for v in chain(graph.input, graph.value_info, graph.output)}
    found = False
    for node in graph.node:
        rule = LEGACY.get(node.op_type)
        if rule is None or node.domain or len(node.input) < 1 or len(node.output) != 1:
            continue
        before, after = types.get(node.input[0]), types.get(node.output[0])
        if before is None or not before.tensor_type.HasField("shape") or _has_shape(after):
            continue
        value = TypeProto()
        value.tensor_type.elem_type = before.tensor_type.elem_type
        for size in rule(node, before.tensor_type.shape.dim):
            dim = value.tensor_type.shape.dim.add()
            if size is not None and size > 0:
                dim.dim_value = size
        if after is None:
            graph.value_info.add(name=node.output[0], type=value)
        else:
            after.CopyFrom(value)
        found = True
    return found


def _has_shape(value: TypeProto | None) -> bool:
    return value is not None and value.tensor_type.HasField("shape")
