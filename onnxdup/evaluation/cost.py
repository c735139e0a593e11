"""What a model costs: parameters, multiply-accumulates (MACs) per layer, bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxdup.errors import CannotVerify
from onnxdup.evaluation.casting import family
from onnxdup.graph import Document, Node
from onnxdup.runtime import observed_shapes

Shapes = Mapping[str, tuple[int | None, ...]]
_NO_PARAMETERS = frozenset({"int64", "int32", "bool"})
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True)
class LayerCost:
    """One node: the elements of its weights, MACs of one run (None: shapes unknown), shape of its first
    output.
    """

    node: str
    op: str
    parameters: int
    macs: int | None
    output_shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Cost:
    """`parameters` counts each stored weight once; `macs` is None where a layer's are unknown (see
    `unknown`).

    `weight_bytes` are those of the weights as stored, `bytes` those of the file and its external data;
    `batch` is the number of samples that `macs` is for.
    """

    parameters: int
    macs: int | None
    weight_bytes: int
    bytes: int
    layers: tuple[LayerCost, ...]
    unknown: tuple[str, ...]
    batch: int = 1


def cost(document: Document, shapes: Shapes | None = None, *, batch: int = 1) -> Cost:
    """The cost of one run with the given shapes of tensors (by name; default: the document's own inference).

    For MACs of a model with free dimensions pass `document.shapes(input_shapes)` or
    `runtime.observed_shapes`. Counted: Gemm, MatMul, Conv, ConvTranspose, LSTM, GRU, RNN, Einsum, their
    quantised and fused forms; nodes inside subgraphs and local functions are not.
    """
    shapes = document.shapes() if shapes is None else shapes
    layers = tuple(_layer(document, node, shapes) for node in document.nodes if node.op_type in _COUNTED)
    unknown = tuple(layer.node for layer in layers if layer.macs is None)
    weights = [document.weights.info(name) for name in document.weights]
    return Cost(
        parameters=sum(math.prod(w.shape) for w in weights if _is_parameter(w.dtype)),
        macs=None if unknown else sum(layer.macs or 0 for layer in layers),
        weight_bytes=sum(w.nbytes for w in weights),
        bytes=document.nbytes,
        layers=layers,
        unknown=unknown,
        batch=batch,
    )


def measured_cost(document: Document, feeds: Mapping[str, np.ndarray], batch: int) -> Cost:
    """The cost of a run on `feeds`: shapes by inference and, where that gives up, from the run itself."""
    found = cost(document, document.shapes({k: v.shape for k, v in feeds.items()}), batch=batch)
    if not found.unknown:
        return found
    try:
        return cost(document, observed_shapes(document, feeds), batch=batch)
    except CannotVerify:
        return found


def _layer(document: Document, node: Node, shapes: Shapes) -> LayerCost:
    held = [document.weights.info(name) for name in dict.fromkeys(node.inputs) if name in document.weights]
    try:
        macs: int | None = _COUNTED[node.op_type](node, shapes)
    except (_Unknown, LookupError, TypeError, ValueError):  # the latter: shapes that no such operator takes
        macs = None
    parameters = sum(math.prod(w.shape) for w in held if _is_parameter(w.dtype))
    shape = shapes.get(node.outputs[0]) if node.outputs else None
    return LayerCost(node.name, node.op_type, parameters, macs, shape)


def _is_parameter(dtype: np.dtype[np.generic]) -> bool:
    return family(dtype) != "text" and dtype.name not in _NO_PARAMETERS


class _Unknown(Exception):
    """A shape that a count needs is not known."""


def _shape(shapes: Shapes, name: str) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None or any(d is None for d in shape):
        raise _Unknown
    return tuple(int(d) for d in shape if d is not None)


def _gemm(node: Node, shapes: Shapes) -> int:
    rows, depth = _shape(shapes, node.inputs[0])[:: -1 if node.attrs.get("transA", 0) else 1]
    return rows * depth * _shape(shapes, node.outputs[0])[1]


def _matmul(node: Node, shapes: Shapes) -> int:
    return math.prod(_shape(shapes, node.outputs[0])) * _shape(shapes, node.inputs[0])[-1]


def _conv(weight: int) -> Callable[[Node, Shapes], int]:
    def count(node: Node, shapes: Shapes) -> int:
        return math.prod(_shape(shapes, node.outputs[0])) * math.prod(_shape(shapes, node.inputs[weight])[1:])

    return count


def _conv_transpose(node: Node, shapes: Shapes) -> int:
    return math.prod(_shape(shapes, node.inputs[0])) * math.prod(_shape(shapes, node.inputs[1])[1:])


def _recurrent(node: Node, shapes: Shapes) -> int:
    """W is (directions, gates·hidden, input), R (directions, gates·hidden, hidden): each applied per step."""
    time, batch = _shape(shapes, node.inputs[0])[:2]
    weights = math.prod(_shape(shapes, node.inputs[1])) + math.prod(_shape(shapes, node.inputs[2]))
    return time * batch * weights


def _einsum(node: Node, shapes: Shapes) -> int:
    terms = str(node.attrs["equation"]).replace(" ", "").split("->")[0].split(",")
    if len(terms) != len(node.inputs) or any("." in term for term in terms):
        raise _Unknown
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.inputs, strict=True):
        sizes.update(zip(term, _shape(shapes, name), strict=False))
    return math.prod(sizes.values()) * max(1, len(terms) - 1)


_COUNTED: Mapping[str, Callable[[Node, Shapes], int]] = {
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "QGemm": _gemm,
    "MatMul": _matmul,
    "FusedMatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Conv": _conv(1),
    "FusedConv": _conv(1),
    "ConvInteger": _conv(1),
    "QLinearConv": _conv(3),
    "ConvTranspose": _conv_transpose,
    "Einsum": _einsum,
    **dict.fromkeys(_GATES, _recurrent),
}
