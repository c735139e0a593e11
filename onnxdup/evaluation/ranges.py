"""Which integers an input may hold: the size of the table that it indexes, found by following the graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from onnxdup.graph import Document, Node

_MOVES_VALUES = frozenset(
    {"Cast", "CastLike", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice"}
    | {"Expand", "Tile", "Concat", "Split", "Pad", "Gather", "GatherElements", "ReduceMax", "Compress"}
)
_INDEX_SLOTS = {"Gather": (1, 0), "GatherElements": (1, 0), "ScatterElements": (1, 0), "OneHot": (0, None)}
_EMBED_LAYER_TABLES = {
    0: 2,
    1: 4,
}  # com.microsoft EmbedLayerNormalization: ids -> words, segments -> segments


def index_limit(
    document: Document, name: str, shapes: Mapping[str, tuple[int | None, ...]] | None = None
) -> int | None:
    """The number of entries in the smallest table that the values of input `name` index, None if it indexes
    none.

    Follows operators that move values without changing them, and sums with constants (offsets of positions).
    `shapes` defaults to the document's own.
    """
    shapes = document.shapes() if shapes is None else shapes
    limits = [
        size - offset
        for node, slot, offset in _uses(document, name)
        if (size := _table_size(document, node, slot, shapes)) is not None
    ]
    return max(1, min(limits)) if limits else None


def _uses(document: Document, name: str) -> list[tuple[Node, int, int]]:
    """Uses of the values of `name`, as (node, slot, what was added on the way)."""
    found: list[tuple[Node, int, int]] = []
    seen = {name}
    queue = deque([(name, 0)])
    while queue:
        value, offset = queue.popleft()
        for node, slot in document.consumers_of(value):
            found.append((node, slot, offset))
            added = _added(document, node, slot)
            if added is None:
                continue
            for output in node.outputs:
                if output and output not in seen:
                    seen.add(output)
                    queue.append((output, offset + added))
    return found


def _added(document: Document, node: Node, slot: int) -> int | None:
    """What `node` adds to the values it takes in `slot`; None where it makes something else of them."""
    if node.op_type in _MOVES_VALUES:
        return 0 if slot == 0 or node.op_type == "Concat" else None
    if node.op_type != "Add" or len(node.inputs) != 2 or slot < 0:
        return None
    other = node.inputs[1 - slot]
    if other not in document.weights or document.weights.info(other).nbytes > 1 << 20:
        return None
    constant = document.weights.array(other)
    return int(constant.max()) if constant.size and np.issubdtype(constant.dtype, np.integer) else None


def _table_size(
    document: Document, node: Node, slot: int, shapes: Mapping[str, tuple[int | None, ...]]
) -> int | None:
    if node.op_type == "EmbedLayerNormalization" and slot in _EMBED_LAYER_TABLES:
        return _dim(node, _EMBED_LAYER_TABLES[slot], 0, shapes)
    if node.op_type == "Equal" and not node.domain and slot >= 0:
        return _counted_up(document, node.inputs[1 - slot])
    if node.op_type not in _INDEX_SLOTS or node.domain:
        return None
    index_slot, table_slot = _INDEX_SLOTS[node.op_type]
    if slot != index_slot:
        return None
    if table_slot is None:
        return _depth(document, node)
    return _dim(node, table_slot, int(node.attrs.get("axis", 0)), shapes)


def _dim(node: Node, slot: int, axis: int, shapes: Mapping[str, tuple[int | None, ...]]) -> int | None:
    shape = shapes.get(node.inputs[slot])
    return shape[axis] if shape and -len(shape) <= axis < len(shape) else None


def _counted_up(document: Document, name: str) -> int | None:
    """n where the constant is 0, 1, …, n - 1: comparing with it is how some exporters write OneHot."""
    if name not in document.weights or document.weights.info(name).nbytes > 1 << 20:
        return None
    constant = document.weights.array(name).reshape(-1)
    counts = constant.size > 2 and constant.dtype.kind in "iuf"
    return constant.size if counts and np.array_equal(constant, np.arange(constant.size)) else None


def _depth(document: Document, node: Node) -> int | None:
    if node.inputs[1] not in document.weights:
        return None
    depth = document.weights.array(node.inputs[1])
    return int(depth.reshape(-1)[0]) if depth.size else None
