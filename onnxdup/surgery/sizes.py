"""Sizes that the graph repeats: Reshape targets, Split sizes, group counts follow the channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.channels.ids import Ids, varying
from onnxdup.channels.rules import RESIZE, RULES, key
from onnxdup.channels.zeros import always_zero
from onnxdup.errors import Bug
from onnxdup.graph import Document, Node
from onnxdup.merging import Merge
from onnxdup.surgery.wires import Wires

RAGGED = frozenset(name for name, operator in RULES.items() if operator.kind == "activation") | {
    "Transpose",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "Cast",
    "Shape",
    "LSTM",
    "GRU",
    "RNN",
}
"""Operators that treat every element alike, or keep their order: the directions of a layer may lose different
units."""


class Sizes:
    """How long each axis of each activation is after the round, and the constants that repeat it."""

    def __init__(self, trace: Trace, merges: Iterable[tuple[ChannelGroup, Merge]], wires: Wires) -> None:
        """Channels that go, by root id."""
        self.trace, self.wires = trace, wires
        self.gone = np.zeros(len(trace.partition.root), bool)
        for group, merge in merges:
            self.gone[group.channels[merge.dropped]] = True
        self._touched: dict[str, bool] = {}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every activation of known shape after the round."""
        known = self.trace.shapes
        return {v: self.wanted(v) if self.touched(v) else shape for v, shape in known.items()}

    def wanted(self, value: str) -> tuple[int, ...]:
        """Shape of one activation after the round."""
        return tuple(self.count(value, k) for k in range(len(self.trace.shapes[value])))

    def follow(self) -> None:
        """Run the `resize` hooks of every node that loses channels."""
        for node in self.trace.document.nodes:
            hook = RESIZE.get(key(node))
            if hook is not None and any(self.touched(v) for v in (*node.inputs, *node.outputs) if v):
                hook(self, node)

    def _ids(self, value: str) -> Ids | None:
        return self.trace.tracer.values.get(value)

    def touched(self, value: str) -> bool:
        """Does the activation lose anything?"""
        if value not in self._touched:
            ids = self._ids(value)
            root = self.trace.partition.root
            self._touched[value] = ids is not None and bool(self.gone[root[ids]].any())
        return self._touched[value]

    def kept(self, value: str, axis: int) -> npt.NDArray[np.bool_]:
        """Which entries of an axis stay, at its old length."""
        ids, shape = self._ids(value), self.trace.shapes[value]
        axis %= len(shape)
        if ids is None or ids.shape[axis] == 1:
            return np.ones(shape[axis], bool)
        return np.asarray(~self._lost(ids, axis).all(1), bool)

    def count(self, value: str, axis: int) -> int:
        """How many stay."""
        ids = self._ids(value)
        if ids is not None and axis % ids.ndim in varying(ids) and self._whole_groups(value, ids, axis):
            stay = ~self._lost(ids, axis)
            return int(stay.sum(0).max())
        return int(self.kept(value, axis).sum())

    def ragged(self, value: str) -> bool:
        """Do slices (the directions of a recurrent layer) lose different places of an axis?"""
        ids = self._ids(value)
        if ids is None or len(varying(ids)) < 2 or not self.touched(value):
            return False
        stay = ~self.gone[self.trace.partition.root[ids]]
        box = [stay.any(tuple(k for k in range(ids.ndim) if k != axis)) for axis in range(ids.ndim)]
        return int(stay.sum()) != int(np.prod([b.sum() for b in box]))

    def misread(self) -> tuple[Node, str] | None:
        """A node that would take ragged slices apart, and the activation."""
        for node in self.trace.document.nodes:
            for value in (x for x in node.inputs if x and key(node) not in RAGGED):
                if self.ragged(value) and not self._whole(node, value):
                    return node, value
        return None

    def _whole(self, node: Node, value: str) -> bool:
        """Does the node take whole directions?"""
        ids = self._ids(value)
        if ids is None or key(node) not in ("Gather", "Split", "Slice"):
            return False
        along = [k for k in varying(ids) if self._whole_groups(value, ids, k)]
        return bool(along) and (
            key(node) == "Slice" or int(node.attrs.get("axis", 0)) % ids.ndim not in along
        )

    def _lost(self, ids: Ids, axis: int) -> npt.NDArray[np.bool_]:
        """Which places go: (length of the axis, everything else)."""
        return self.gone[self.trace.partition.root[np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)]]

    def _whole_groups(self, value: str, ids: Ids, axis: int) -> bool:
        """Is the activation ragged, and do neighbours along the axis belong to one group?"""
        if not self.ragged(value):
            return False
        group = self.trace.partition.group[self.trace.partition.root[ids]]
        return bool((group == group.take([0], axis)).all())

    def always_zero(self, value: str) -> bool:
        """Is a value zero whatever the input?"""
        return always_zero(self.trace.tracer.constants, value)

    def omit(self, node: Node, slot: int) -> None:
        """Take an optional input away."""
        self.wires.point(node, slot, "")

    def shape(self, value: str) -> tuple[int, ...]:
        """Old shape."""
        return self.trace.shapes[value]

    def opset(self) -> int:
        """Opset of the default domain."""
        return self.trace.document.opset()

    def integers(self, node: Node, slot: int) -> list[int | None] | None:
        """An integer input element by element; None for elements that the graph computes."""
        if slot >= len(node.inputs) or not node.inputs[slot]:
            return None
        pieces = _pieces(self.trace, node.inputs[slot])
        if pieces is None:
            return None
        return [None if p is None else self._element(*p) for p in pieces]

    def _element(self, name: str, place: int) -> int:
        array = self.trace.tracer.constants.array(name)
        if array is None:
            raise Bug(f"{name} is no constant")
        return int(np.ravel(array.astype(np.int64))[place])

    def set_attr(self, node: Node, name: str, value: Any) -> None:
        """Change an attribute; None removes it."""
        if value is not None or name in node.attrs:
            self.wires.editor.set_attr(node, name, value)

    def set_integers(self, node: Node, slot: int, values: Sequence[int | None]) -> None:
        """Write changed elements where they are stored: a copy for this node where others read them."""
        name = node.inputs[slot] if slot < len(node.inputs) else ""
        pieces = _pieces(self.trace, name) if name else None
        old = self.integers(node, slot)
        if old == list(values):
            return
        if pieces is None or all(p is not None and p[0] == name for p in pieces):
            self.wires.replace(node, slot, name or f"{node.name}_sizes", self._like(name, values))
            return
        self._patch(node, slot, old or [], values)

    def _like(self, name: str, values: Sequence[int | None]) -> npt.NDArray[np.generic]:
        """Integers in the type and, where their number has not changed, the shape of the constant `name`."""
        old = self.trace.tracer.constants.array(name) if name else None
        if old is None:
            return np.asarray(values, np.int64)
        new = np.asarray(values, old.dtype)
        return new.reshape(old.shape) if new.size == old.size else new

    def _patch(self, node: Node, slot: int, old: Sequence[int | None], values: Sequence[int | None]) -> None:
        """New constants in the Concat that makes the sizes; in one of its own where it has other readers."""
        concat, chain = _concat_of(self.trace.document, node.inputs[slot])
        if concat is None:
            raise Bug("the sizes of this node are not where they were", node=node.name)
        inputs, start = list(concat.inputs), 0
        for k, x in enumerate(concat.inputs):
            held = self.trace.tracer.constants.get(x)
            end = start + int(np.prod(held.shape if held is not None else self.trace.shapes[x]))
            if held is not None and list(old[start:end]) != list(values[start:end]):
                inputs[k] = self.wires.editor.add_tensor(x, self._like(x, values[start:end]))
            start = end
        self.wires.regroup(concat, inputs, chain, node, slot)


def _concat_of(document: Document, name: str) -> tuple[Node | None, list[Node]]:
    """The Concat that makes a vector of sizes, and the casts between it and `name`, first to last."""
    chain: list[Node] = []
    node = document.producer_of(name)
    while node is not None and key(node) in ("Cast", "Identity"):
        chain.insert(0, node)
        node = document.producer_of(node.inputs[0])
    return (node if node is not None and key(node) == "Concat" else None), chain


def _pieces(trace: Trace, name: str) -> list[tuple[str, int] | None] | None:
    """Where each element of a vector of sizes is stored; None for computed elements; None if nothing is
    known.
    """
    constant = trace.tracer.constants.get(name)
    if constant is not None:
        return [(name, k) for k in range(int(np.prod(constant.shape)))]
    node, _ = _concat_of(trace.document, name)
    if node is None:
        return None
    out: list[tuple[str, int] | None] = []
    for x in node.inputs:
        held = trace.tracer.constants.get(x)
        length = int(np.prod(trace.shapes[x])) if held is None and x in trace.shapes else None
        if held is None and length is None:
            return None
        out += (
            [(x, k) for k in range(int(np.prod(held.shape)))] if held is not None else [None] * (length or 0)
        )
    return out
