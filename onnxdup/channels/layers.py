"""Filters as the paper sees them: the rows of a layer's weight, bias excluded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.constants import Constant
from onnxdup.channels.groups import ChannelGroup, Partition
from onnxdup.channels.packed import filters_of
from onnxdup.channels.rules.recurrent import CELLS
from onnxdup.channels.rules.table import key
from onnxdup.channels.tracer import Role, Tracer, Use
from onnxdup.graph import Node

Seen: TypeAlias = set[tuple[str, int]]


@dataclass(frozen=True)
class Layer:
    """A node whose weight has filters; of a recurrent layer each row of each gate of each direction is one.

    `blocks`: filters of different blocks (the groups of a Conv, gates and directions) are never compared.
    `groups` are the channel groups its filters belong to (empty where they are no channels), `reason` says
    why not.
    """

    node: str
    op_type: str
    tensor: str
    shape: tuple[int, ...]
    filters: int
    blocks: int
    groups: tuple[str, ...]
    reason: str | None
    read: Callable[[], npt.NDArray[np.generic]] = field(repr=False, compare=False)

    @property
    def fan_in(self) -> int:
        """Inputs of one filter."""
        return int(np.prod(self.shape)) // max(self.filters, 1)

    def rows(self) -> npt.NDArray[np.generic]:
        """The filters: (filters, fan_in), in the stored type."""
        return self.read()

    def block_ids(self) -> npt.NDArray[np.int64]:
        """Block of each filter: (filters,)."""
        return np.arange(self.filters) * self.blocks // max(self.filters, 1)


def layers_of(t: Tracer, partition: Partition, groups: tuple[ChannelGroup, ...]) -> tuple[Layer, ...]:
    """One layer per weight axis that makes channels, in graph order; a shared weight appears once."""
    seen: Seen = set()
    main = [s for s in t.sources if not s.node.inside]
    sources = [s for s in main if _first(seen, s.use.constant.name, s.use.axis)]
    out = [_layer(s.node, s.use, s.blocks, partition, groups) for s in sources]
    for node in dict.fromkeys(r.node for r in t.recurrences):
        both = zip(*(r.rows for r in t.recurrences if r.node is node), strict=True)
        new = [uses for uses in both if _first(seen, uses[0].constant.name, 1)]
        out += [_gated(node, uses[0].constant, *_groups_of(uses, partition, groups)) for uses in new]
    for node, reason in t.declined:
        with suppress(*MALFORMED):  # then it has no filters that could be told
            out += _declined(t, node, reason, seen)
    order = {n.name: n.index for n in t.document.nodes}
    return tuple(sorted(out, key=lambda layer: order[layer.node]))


def _first(seen: Seen, weight: str, axis: int) -> bool:
    new = (weight, axis) not in seen
    seen.add((weight, axis))
    return new


def _declined(t: Tracer, node: Node, reason: str, seen: Seen) -> list[Layer]:
    """Layers that no rule follows: still reported, with the reason."""
    new = [(w, axis) for w, axis in weights_of(t, node) if _first(seen, w.name, axis)]
    return [plain_layer(node, weight, axis, reason) for weight, axis in new]


def plain_layer(node: Node, weight: Constant, axis: int, reason: str) -> Layer:
    """A layer whose filters make no channels."""
    if key(node) in CELLS:
        return _gated(node, weight, (), reason)
    use = Use(weight, axis, np.zeros(weight.shape[axis], np.int64), Role.PRODUCER, node, 1)
    blocks = int(node.attrs.get("group", 1)) if node.op_type != "ConvTranspose" else 1
    filters = weight.shape[axis]
    return Layer(node.name, node.op_type, weight.root, weight.shape, filters, blocks, (), reason, use.rows)


def weights_of(t: Tracer, node: Node) -> list[tuple[Constant, int]]:
    """Weights with filters, and the axis of those."""
    if key(node) not in CELLS:
        found = filters_of(t, node)
        return [found] if found else []
    gated = [t.constant(node, slot) for slot in (1, 2)]
    return [(w, 1) for w in gated if w is not None and len(w.shape) == 3]


def _layer(
    node: Node, use: Use, blocks: int, partition: Partition, groups: tuple[ChannelGroup, ...]
) -> Layer:
    names, reason = _groups_of([use], partition, groups)
    constant = use.constant
    return Layer(
        node.name, node.op_type, constant.root, constant.shape, len(use.ids), blocks, names, reason, use.rows
    )


def _gated(node: Node, weight: Constant, groups: tuple[str, ...], reason: str | None) -> Layer:
    """Rows of W or R (directions, gates · units, m): a gate of a direction is compared with itself."""
    filters, blocks = weight.shape[0] * weight.shape[1], weight.shape[0] * CELLS[key(node)].gates

    def read() -> npt.NDArray[np.generic]:
        return weight.read().reshape(filters, weight.shape[2])

    return Layer(node.name, node.op_type, weight.root, weight.shape, filters, blocks, groups, reason, read)


def _groups_of(
    uses: Sequence[Use], partition: Partition, groups: tuple[ChannelGroup, ...]
) -> tuple[tuple[str, ...], str | None]:
    """Names of the groups whose channels the rows make, and the reason where all are frozen."""
    roots = partition.root[np.concatenate([u.ids for u in uses])]
    own = [groups[k] for k in np.unique(partition.group[roots]).tolist() if k >= 0]
    frozen = [g.frozen for g in own if g.frozen]
    reason = str(frozen[0]) if frozen and len(frozen) == len(own) else None
    return tuple(g.name for g in own), reason
