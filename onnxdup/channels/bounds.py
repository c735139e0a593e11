"""How large a computed constant would be, before it is computed: a hostile file asks for terabytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxdup.graph import MALFORMED as MALFORMED
from onnxdup.graph import Body

if TYPE_CHECKING:
    from onnxdup.channels.constants import Constant
    from onnxdup.graph import Document, Node

FREE = 1 << 24
"""Elements that any constant may have."""
_BROADCAST = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "DequantizeLinear", "QuantizeLinear", "Quant"})


def largest_constant(document: Document) -> int:
    """Elements that a computed constant of this model may have: four times all that it stores."""
    around = largest_constant(document.outer) if isinstance(document, Body) else FREE
    infos = (document.weights.info(name) for name in document.weights)
    return max(around, 4 * sum(math.prod(i.shape) for i in infos))


def elements(node: Node, operands: list[Constant]) -> int:
    """Elements of what `node` makes of constants, at least; reads nothing but shapes."""
    first = operands[0]
    match node.op_type:
        case "ConstantOfShape":
            return math.prod(int(d) for d in np.ravel(first.read()))
        case "Expand":
            return math.prod(np.broadcast_shapes(first.shape, tuple(int(d) for d in operands[1].read())))
        case "Concat":
            return sum(math.prod(o.shape) for o in operands)
        case "Gather":
            return (
                math.prod(operands[1].shape) * math.prod(first.shape) // max(1, min(first.shape, default=1))
            )
        case op if op in _BROADCAST:
            return math.prod(max(d) for d in _aligned([o.shape for o in operands]))
    return math.prod(first.shape)


def is_sound(constant: Constant) -> bool:
    """Whether a computed constant can be computed, and has the shape that inference or the file claims."""
    return constant.read().shape == tuple(constant.shape)


def _aligned(shapes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    rank = max(map(len, shapes))
    return list(zip(*((1,) * (rank - len(s)) + tuple(s) for s in shapes), strict=True))
