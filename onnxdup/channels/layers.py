"""Filters as the paper sees them: the rows of a layer's weight, bias excluded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.groups import ChannelGroup, Partition
from onnxdup.channels.packed import filters_of
from onnxdup.channels.tracer import Role, Tracer, Use
from onnxdup.graph import Node


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
    seen: set[tuple[str, int]] = set()
    out = []
    for source in t.sources:
        key = (source.use.constant.name, source.use.axis)
        if key not in seen:
            seen.add(key)
            out.append(_layer(source.node, source.use, source.blocks, partition, groups))
    for node in dict.fromkeys(r.node for r in t.recurrences):
        for uses in zip(*(r.rows for r in t.recurrences if r.node is node), strict=True):
            if (uses[0].constant.name, uses[0].axis) not in seen:
                seen.add((uses[0].constant.name, uses[0].axis))
                out.append(_recurrent(node, uses, partition, groups))
    for node, reason in t.declined:
        with suppress(*MALFORMED):  # then it has no filters that could be told
            out += _declined(t, node, reason, seen)
    order = {n.name: n.index for n in t.document.nodes}
    return tuple(sorted(out, key=lambda layer: order[layer.node]))


def _declined(t: Tracer, node: Node, reason: str, seen: set[tuple[str, int]]) -> list[Layer]:
    """Layers whose rule declined: still reported, with the reason."""
    found = filters_of(t, node)
    if found is None or (found[0].name, found[1]) in seen:
        return []
    weight, axis = found
    seen.add((weight.name, axis))
    use = Use(weight, axis, np.zeros(weight.shape[axis], np.int64), Role.PRODUCER, node, 1)
    blocks = int(node.attrs.get("group", 1)) if node.op_type != "ConvTranspose" else 1
    filters = weight.shape[axis]
    return [Layer(node.name, node.op_type, weight.root, weight.shape, filters, blocks, (), reason, use.rows)]


def _layer(
    node: Node, use: Use, blocks: int, partition: Partition, groups: tuple[ChannelGroup, ...]
) -> Layer:
    names, reason = _groups_of([use], partition, groups)
    constant = use.constant
    return Layer(
        node.name, node.op_type, constant.root, constant.shape, len(use.ids), blocks, names, reason, use.rows
    )


def _recurrent(
    node: Node, uses: tuple[Use, ...], partition: Partition, groups: tuple[ChannelGroup, ...]
) -> Layer:
    """Rows of W or R (directions, gates · units, m); each gate of each direction is compared with itself."""
    names, reason = _groups_of(uses, partition, groups)
    constant = uses[0].constant
    filters = constant.shape[0] * constant.shape[1]
    blocks = filters // len(np.unique(uses[0].ids))

    def read() -> npt.NDArray[np.generic]:
        return constant.read().reshape(filters, -1)

    return Layer(node.name, node.op_type, constant.root, constant.shape, filters, blocks, names, reason, read)


def _groups_of(
    uses: Sequence[Use], partition: Partition, groups: tuple[ChannelGroup, ...]
) -> tuple[tuple[str, ...], str | None]:
    """Names of the groups whose channels the rows make, and the reason where all are frozen."""
    roots = partition.root[np.concatenate([u.ids for u in uses])]
    own = [groups[k] for k in np.unique(partition.group[roots]).tolist() if k >= 0]
    frozen = [g.frozen for g in own if g.frozen]
    reason = str(frozen[0]) if frozen and len(frozen) == len(own) else None
    return tuple(g.name for g in own), reason
