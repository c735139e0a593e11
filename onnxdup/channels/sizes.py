"""Channel counts that the graph reads with `Shape`: allowed to steer other shapes, never to become data.

A merge changes what `Shape` answers. Where the answer only reaches shape inputs (Reshape, Expand, …)
everything follows by itself, and surgery checks that it does. Where it becomes a number that is computed
with (attention scaled by the square root of a width, a graph output), the channels behind it are frozen.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from onnxdup.channels.ids import Ids, no_channel
from onnxdup.channels.rules.table import key
from onnxdup.channels.tracer import Tracer
from onnxdup.graph import Node

Sizes: TypeAlias = list[Ids]

NONE = no_channel(1)
MOVES = frozenset(
    {"Gather", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast", "Identity", "Reshape", "Flatten"}
)
ARITHMETIC = frozenset(
    {"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Max", "Min", "ReduceProd", "ReduceMin", "ReduceMax"}
)
MANY = 1 << 12
"""Elements of a vector of sizes; more would be no shape."""
STEERED = {
    "Reshape": {1},
    "Expand": {1},
    "Slice": {1, 2, 3, 4},
    "Resize": {1, 2, 3},
    "Upsample": {1},
    "ConstantOfShape": {0},
    "Tile": {1},
    "Pad": {1, 3},
    "Split": {1},
    "Range": {0, 1, 2},
}


def follow(t: Tracer, node: Node) -> None:
    """Pass the origin of sizes through one node, or freeze the channels they count."""
    if key(node) in ("Shape", "Size"):
        return _asked(t, node)
    held = [x for x in dict.fromkeys(node.inputs) if x in t.sizes]
    for x in node.captured:
        if x in t.sizes:
            _freeze(t, t.sizes[x], node)
    if not held:
        return None
    if (key(node) in MOVES and node.inputs[0] in held) or key(node) == "Concat":
        t.sizes[node.outputs[0]] = _moved(t, node)
        return None
    if key(node) in ARITHMETIC and all(x in held or t.constants.get(x) is not None for x in node.inputs if x):
        union = [u for x in held for u in t.sizes[x]]
        t.sizes[node.outputs[0]] = [np.unique(np.concatenate([NONE, *union]))] * _length(
            t, node.outputs[0], len(union)
        )
        return None
    allowed = STEERED.get(key(node), set())
    for slot, x in enumerate(node.inputs):
        if x in t.sizes and slot not in allowed:
            _freeze(t, t.sizes[x], node)
    return None


def settle(t: Tracer, node: Node) -> None:
    """Data without channels that is made as long as a channel axis: it would change with the count."""
    steered = STEERED.get(key(node), set())
    if key(node) in MOVES and node.inputs[0] in t.sizes:
        return
    for slot, x in enumerate(node.inputs):
        if x in t.sizes and slot in steered and not t.carries(node.outputs[0]):
            _freeze(t, t.sizes[x], node)


def hold(t: Tracer, node: Node) -> None:
    """Freeze every count that a node reads."""
    for x in node.inputs:
        if x in t.sizes:
            _freeze(t, t.sizes[x], node)


def outputs(t: Tracer) -> None:
    """A size that the model returns."""
    for value in t.document.outputs:
        if value.name in t.sizes:
            _freeze(t, t.sizes[value.name], t.document.producer_of(value.name))


def _asked(t: Tracer, node: Node) -> None:
    ids = t.ids(node.inputs[0])
    if not ids.any():
        return
    per_axis = [np.unique(ids) if length > 1 else NONE for length in ids.shape]
    if not any(length > 1 for length in ids.shape):
        per_axis = [np.unique(ids)] * ids.ndim
    if key(node) == "Size":
        t.sizes[node.outputs[0]] = [np.unique(ids)]
        return
    start, end = int(node.attrs.get("start", 0)), node.attrs.get("end")
    t.sizes[node.outputs[0]] = per_axis[slice(start, None if end is None else int(end))]


def _length(t: Tracer, name: str, default: int) -> int:
    shape = t.shapes.get(name)
    length = max(int(np.prod(shape)), 1) if shape is not None else max(default, 1)
    if length > MANY:
        raise ValueError(f"{name} has {length} elements, too many to be sizes")
    return length


def _moved(t: Tracer, node: Node) -> Sizes:
    """Elementwise origin where it is plain, else the union for every element."""
    own = t.sizes.get(node.inputs[0], [])
    if key(node) == "Concat":
        parts: Sizes = []
        for x in node.inputs:
            parts += t.sizes.get(x) or [NONE] * _length(t, x, 1)
            if len(parts) > MANY:
                raise ValueError(f"{len(parts)} elements are too many to be sizes")
        return parts
    if key(node) == "Gather":
        index = t.constants.array(node.inputs[1])
        if index is not None and all(-len(own) <= int(i) < len(own) for i in np.ravel(index)):
            return [own[int(i)] for i in np.ravel(index)]
    if key(node) == "Slice":
        from onnxdup.channels.rules.movement import slices

        bounds = [t.constants.array(x) for x in node.inputs[1:] if x]
        if all(b is not None for b in bounds):
            return own[slices(node, (len(own),), [b for b in bounds if b is not None])[0]]
    if key(node) in ("Gather", "Slice"):
        return [np.unique(np.concatenate([NONE, *own]))] * _length(t, node.outputs[0], len(own))
    return own


def _freeze(t: Tracer, sizes: Sizes, node: Node | None) -> None:
    for ids in sizes:
        t.freeze(ids, "its channel count is used as a number", node)
