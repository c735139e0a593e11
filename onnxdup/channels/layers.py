"""Filters as the paper sees them: the rows of a layer's weight, bias excluded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.groups import ChannelGroup, Partition
from onnxdup.channels.packed import filters_of
from onnxdup.channels.tracer import Role, Tracer, Use, moved
from onnxdup.graph import Node


@dataclass(frozen=True)
class Layer:
    """A node whose weight has filters.

    `blocks`: filters of different blocks (the groups of a Conv) read different inputs and are never compared.
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
    use: Use = field(repr=False, compare=False)

    @property
    def fan_in(self) -> int:
        """Inputs of one filter."""
        return int(np.prod(self.shape)) // max(self.filters, 1)

    def rows(self) -> npt.NDArray[np.generic]:
        """The filters: (filters, fan_in), in the stored type."""
        return moved(self.use.constant, self.use.axis)

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
    return [
        Layer(node.name, node.op_type, weight.root, weight.shape, weight.shape[axis], blocks, (), reason, use)
    ]


def _layer(
    node: Node, use: Use, blocks: int, partition: Partition, groups: tuple[ChannelGroup, ...]
) -> Layer:
    numbers = [k for k in np.unique(partition.group[partition.root[use.ids]]).tolist() if k >= 0]
    own = [groups[k] for k in numbers]
    frozen = [g.frozen for g in own if g.frozen]
    reason = str(frozen[0]) if frozen and len(frozen) == len(own) else None
    return Layer(
        node.name,
        node.op_type,
        use.constant.root,
        use.constant.shape,
        len(use.ids),
        blocks,
        tuple(g.name for g in own),
        reason,
        use,
    )
