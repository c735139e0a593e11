"""From united ids to channel groups: who makes, carries and reads each set of channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from onnxdup.channels.ids import Ids, components, sort_by_channel
from onnxdup.channels.relation import Index
from onnxdup.channels.sharing import is_vector, shared, stored_axis, stored_block
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.tracer import Freeze, Recurrence, Role, Sink, Source, Step, Tracer, Use

T = TypeVar("T")


@dataclass(frozen=True)
class Binding:
    """Axis `axis` of the stored tensor `tensor` holds the channels of a group: channel c at `index[c]`.

    `index` is (channels, copies). `nodes` read it there; `private` parameters (vectors) may be cloned per
    node. `block` is (axis, number) where only one slice of the tensor is meant: one direction of an LSTM.
    """

    tensor: str
    axis: int
    role: Role
    index: Index
    nodes: tuple[str, ...]
    uses: tuple[Use, ...] = field(repr=False, compare=False, default=())
    block: tuple[int, int] | None = None

    @property
    def node(self) -> str:
        """The first node that reads it."""
        return self.nodes[0]

    @property
    def key(self) -> str:
        """Stable name: `fc1.weight[0]`, with node and input where vectors are cloned."""
        place = f"{self.axis}" if self.block is None else f"{self.axis}, {self.block[0]}={self.block[1]}"
        return f"{self.tensor}[{place}]" + (f"@{self.node}:{self.uses[0].slot}" if self.private else "")

    @property
    def private(self) -> bool:
        """One use of a vector that may get its own copy."""
        return is_vector(self.uses[0])


@dataclass(frozen=True)
class ChannelGroup:
    """Channels with the same producers, carriers, consumers and path: one partition decides for all of
    them.

    `recurrences` are the recurrent layers whose units they are; `peers` (the other direction of a layer)
    must lose equally many.
    """

    name: str
    number: int
    channels: Ids
    bindings: tuple[Binding, ...]
    frozen: Freeze | None
    steps: tuple[Step, ...] = field(repr=False, compare=False, default=())
    sources: tuple[Source, ...] = field(repr=False, compare=False, default=())
    sinks: tuple[Sink, ...] = field(repr=False, compare=False, default=())
    symmetry: Symmetry = Symmetry.COPY
    recurrences: tuple[Recurrence, ...] = field(repr=False, compare=False, default=())
    peers: tuple[str, ...] = ()

    @property
    def approximable(self) -> bool:
        """Do all readers absorb what is merged, in the main graph, and is no unit fed back? Otherwise exact
        merges only.
        """
        inside = any(u.node.inside for b in self.bindings for u in b.uses)
        return not inside and not self.recurrences and all(s.use is not None for s in self.sinks)

    @property
    def size(self) -> int:
        """Number of channels."""
        return len(self.channels)

    def of(self, role: Role) -> tuple[Binding, ...]:
        """Bindings of one role."""
        return tuple(b for b in self.bindings if b.role is role)

    @property
    def quantised(self) -> bool:
        """Do integers hold any of its rows or columns?"""
        return any(u.constant.quantised is not None for b in self.bindings for u in b.uses)

    @property
    def producers(self) -> tuple[Binding, ...]:
        """Rows that make the channels."""
        return self.of(Role.PRODUCER)

    @property
    def carriers(self) -> tuple[Binding, ...]:
        """Parameters that the channels pass."""
        return self.of(Role.CARRIER)

    @property
    def consumers(self) -> tuple[Binding, ...]:
        """Columns that read the channels."""
        return self.of(Role.CONSUMER)


class Partition:
    """Roots, groups and local channel numbers of every id."""

    def __init__(self, t: Tracer) -> None:
        """Unite shared parameters, then number the groups."""
        self.bindings = shared(t)
        self.root = components(t.count, t.pairs)
        self.values = {name: np.unique(self.root[ids]) for name, ids in t.values.items() if ids.any()}
        self.group, self.local, self.members = self._number(t)

    def _number(self, t: Tracer) -> tuple[Index, Index, list[Ids]]:
        sets = [np.unique(self.root[u.ids]) for u in t.uses]
        keys = np.zeros(t.count, np.uint64)
        random = np.random.default_rng(0)
        for members in [*sets, *self.values.values()]:
            keys[members] += random.integers(1, 2**63, dtype=np.uint64)
        bound: Ids = np.unique(np.concatenate([*sets, np.empty(0, np.int64)]))
        bound = bound[bound > 0]
        group, local = np.full(t.count, -1), np.full(t.count, -1)
        _, first, inverse = np.unique(keys[bound], return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(bound[first], kind="stable"), kind="stable")
        group[bound] = order[inverse]
        found: list[Ids] = [bound[group[bound] == g] for g in range(len(first))]
        for channels in found:
            local[channels] = np.arange(len(channels))
        return group, local, found

    def positions(self, ids: Ids, number: int) -> Index | None:
        """Where the channels of a group stand on an axis: (channels, copies), or None where counts differ."""
        roots = self.root[ids]
        local = np.where(self.group[roots] == number, self.local[roots], -1)
        return sort_by_channel(local, len(self.members[number]))

    def groups_in(self, value: str) -> set[int]:
        """Numbers of the groups with channels in an activation."""
        found = self.values.get(value)
        return set() if found is None else set(np.unique(self.group[found[found > 0]]).tolist()) - {-1}


def build_groups(t: Tracer) -> tuple[tuple[ChannelGroup, ...], Partition]:
    """All channel groups of a trace, in the order of their first channel."""
    partition = Partition(t)
    reasons = _reasons(t, partition)
    steps = _by_group(partition, ((s, [*s.inputs, s.output]) for s in t.steps))
    sources = _by_group(partition, ((s, [s.output]) for s in t.sources))
    sinks = _by_group(partition, ((s, [s.input]) for s in t.sinks))
    recurrences = _by_group(partition, ((r, [r.output]) for r in t.recurrences))
    uses = _bindings_by_group(partition, partition.bindings)
    names: dict[str, int] = {}
    groups = []
    for number, channels in enumerate(partition.members):
        bindings, odd = _bind(partition, number, uses.get(number, []))
        groups.append(
            ChannelGroup(
                _name(bindings, names),
                number,
                channels,
                bindings,
                reasons.get(number) or odd or _incomplete(bindings),
                tuple(steps.get(number, ())),
                tuple(sources.get(number, ())),
                tuple(sinks.get(number, ())),
                recurrences=tuple(recurrences.get(number, ())),
            )
        )
    return tuple(groups), partition


def _incomplete(bindings: tuple[Binding, ...]) -> Freeze | None:
    if not any(b.role is Role.PRODUCER for b in bindings):
        return Freeze("no weight makes these channels", bindings[0].node if bindings else "")
    if not any(b.role is Role.CONSUMER for b in bindings):
        return Freeze("no weight reads these channels", bindings[0].node)
    return None


def _name(bindings: tuple[Binding, ...], names: dict[str, int]) -> str:
    first = next((b for b in bindings if b.role is Role.PRODUCER), bindings[0])
    base = first.tensor
    names[base] = names.get(base, 0) + 1
    return base if names[base] == 1 else f"{base}#{names[base]}"


def _reasons(t: Tracer, partition: Partition) -> dict[int, Freeze]:
    reasons: dict[int, Freeze] = {}
    for ids, freeze in t.frozen:
        for number in np.unique(partition.group[partition.root[ids]]).tolist():
            reasons.setdefault(number, freeze)
    return reasons


def _by_group(partition: Partition, items: Iterator[tuple[T, list[str]]]) -> dict[int, list[T]]:
    out: dict[int, list[T]] = {}
    for item, values in items:
        for number in set().union(*(partition.groups_in(v) for v in values)):
            out.setdefault(number, []).append(item)
    return out


def _bindings_by_group(partition: Partition, bindings: Iterable[list[Use]]) -> dict[int, list[list[Use]]]:
    out: dict[int, list[list[Use]]] = {}
    for uses in bindings:
        for number in set(np.unique(partition.group[partition.root[uses[0].ids]]).tolist()) - {-1}:
            out.setdefault(number, []).append(uses)
    return out


def _bind(
    partition: Partition, number: int, bound: list[list[Use]]
) -> tuple[tuple[Binding, ...], Freeze | None]:
    bindings, odd = [], None
    for uses in bound:
        first = uses[0]
        index = partition.positions(first.ids, number)
        if index is None:
            odd = Freeze("its channels have different numbers of entries", first.node.name)
            continue
        axis = stored_axis(first)
        tensor = first.constant.name if axis is None else first.constant.root
        nodes = tuple(dict.fromkeys(u.node.name for u in uses))
        bindings.append(
            Binding(
                tensor,
                first.axis if axis is None else axis,
                first.role,
                index,
                nodes,
                tuple(uses),
                stored_block(first),
            )
        )
    return tuple(bindings), odd
