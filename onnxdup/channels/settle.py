"""What is known of a group only when all groups are: its symmetry, and what recurrent layers demand of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnxdup.channels.groups import ChannelGroup, Partition
from onnxdup.channels.ids import components
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.tracer import Freeze, Tracer
from onnxdup.channels.transfer import Affine, Same, Stack, Sum


def settled(t: Tracer, partition: Partition, groups: Sequence[ChannelGroup]) -> tuple[ChannelGroup, ...]:
    """The groups with symmetry, peers, and the freezes that follow from other groups."""
    done = [_reached(_single(partition, replace(g, symmetry=symmetry_of(g)))) for g in groups]
    for numbers in _peers(t, partition):
        frozen = next((done[k].frozen for k in numbers if done[k].frozen), None)
        names = [done[k].name for k in numbers]
        for k in numbers:
            done[k] = replace(
                done[k],
                peers=tuple(n for n in names if n != done[k].name),
                frozen=done[k].frozen or _with(frozen),
            )
    return tuple(done)


def _with(freeze: Freeze | None) -> Freeze | None:
    return freeze and Freeze(f"both directions keep equally many units: {freeze.reason}", freeze.node)


def _peers(t: Tracer, partition: Partition) -> list[list[int]]:
    """Numbers of the groups that must lose equally many channels, for each such set."""
    pairs = [np.empty((0, 2), np.int64)]
    for sets in t.peers:
        numbers = np.unique(partition.group[partition.root[np.concatenate(sets)]])
        numbers = numbers[numbers >= 0]
        pairs.append(np.stack(np.broadcast_arrays(numbers[:1], numbers), 1))
    count = len(partition.members)
    label = components(count, pairs) if count else np.empty(0, np.int64)
    return [np.flatnonzero(label == k).tolist() for k in np.flatnonzero(np.bincount(label, minlength=1) > 1)]


def _single(partition: Partition, group: ChannelGroup) -> ChannelGroup:
    """Units that only go in tuples (heads behind a layer) are not followed."""
    for recurrence in group.recurrences:
        index = partition.positions(recurrence.ids, group.number)
        if group.frozen is None and (index is None or index.shape[1] != 1):
            return replace(group, frozen=Freeze("its units are used in tuples", recurrence.node.name))
    return group


def _reached(group: ChannelGroup) -> ChannelGroup:
    """Every step and reader must follow a layer that makes the channels; damaged files have others."""
    made = {s.output for s in group.sources} | {r.output for r in group.recurrences}
    for step in group.steps:
        if not made & set(step.inputs):
            return _lost(group, step.node.name)
        made.add(step.output)
    for sink in group.sinks:
        if sink.input not in made:
            return _lost(group, sink.node.name)
    return group


def _lost(group: ChannelGroup, node: str) -> ChannelGroup:
    return replace(group, frozen=group.frozen or Freeze("read before a layer makes the channels", node))


def symmetry_of(group: ChannelGroup) -> Symmetry:
    """Rescalings that every operator of the group lets pass; before the first non-linearity a shift belongs
    to the row.
    """
    linear = {s.output for s in group.sources}
    out = Symmetry.ANY
    for step in group.steps:
        operands = [x for x in step.inputs if x in linear]
        affine = isinstance(step.transfer, Affine | Sum | Same | Stack) and len(operands) == len(step.inputs)
        if affine and not (isinstance(step.transfer, Same) and not step.transfer.keeps_shift):
            linear.add(step.output)
            continue
        linear.discard(step.output)
        out &= step.transfer.symmetry
    for recurrence in group.recurrences:
        out &= recurrence.lumping.symmetry
    return out
