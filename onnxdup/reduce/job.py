"""Rounds of trace → choose → apply on one document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from onnxdup.channels import ChannelGroup, Role, Trace, trace
from onnxdup.channels.relation import EXACT_ULP
from onnxdup.errors import UsageError
from onnxdup.graph import Document
from onnxdup.merging import Analytic, Left, Merge, MergePlan, Moments, cuttable, exact_merge, stored_moments
from onnxdup.reduce.calibrating import measure, stages
from onnxdup.reduce.reduction import Reduction
from onnxdup.reduce.rounding import restored, rounded_up
from onnxdup.reduce.sketching import measured_values
from onnxdup.reduce.trial import on_trial
from onnxdup.surgery import ShapesDisagree, Surgery

if TYPE_CHECKING:
    from onnxdup.evaluation.data import Dataset

MAX_ROUNDS = 32
Shape = tuple[int, ...]
Choose = Callable[[ChannelGroup, Trace, int | None], Merge | None]
"""(group, trace, most channels that may go or None) → a merge of the group, or None."""
Progress = Callable[[str], None]


class Shared:
    """The moments of the trace at hand: measured where that was done, else analytic, made once."""

    def __init__(self) -> None:
        self._trace: Trace | None = None
        self._held: Moments | None = None

    def of(self, traced: Trace) -> Moments:
        """The moments of a trace."""
        if self._held is None or self._trace is not traced:
            self.put(traced, Analytic(traced))
        assert self._held is not None
        return self._held

    def put(self, traced: Trace, moments: Moments) -> None:
        """Use these for a trace."""
        self._trace, self._held = traced, moments


class Job:
    """Rounds of trace → choose → apply; `trace` is of the present document, `first` of the given one."""

    def __init__(
        self,
        document: Document,
        include: Sequence[str],
        exclude: Sequence[str],
        input_shapes: Mapping[str, Shape] | None,
        shapes: Mapping[str, Shape] | None,
        say: Progress,
    ) -> None:
        self.include, self.exclude, self.input_shapes, self.say = include, exclude, input_shapes, say
        self.first = self.trace = trace(document, input_shapes=input_shapes, shapes=shapes)
        self.rounds: list[tuple[Merge, ...]] = []
        self.declined: dict[str, str] = {}
        self.left: dict[str, list[Left]] = {}
        self.changed: dict[str, set[str]] = {}
        self.settled: set[str] = set()
        self._refuse_idle_patterns()

    def run(self, choose: Choose, what: str, rounds: int) -> None:
        """At most `rounds` rounds of one method, until it finds nothing."""
        self.changed.clear()
        self.settled.clear()
        for number in range(rounds):
            merges = []
            for group in self._open_groups():
                self.say(f"{what}: {group.name}")
                found = choose(group, self.trace, None)
                if found is not None and len(found.keep) < found.size:
                    merges.append(found)
            applied = self.applied(self._in_step(tuple(merges), choose))
            if not applied:
                return
            self.say(f"{what}, round {number + 1}: {sum(m.size - len(m.keep) for m in applied)} channels")

    def measured(self, choose: Choose, moments: Shared, data: Dataset, what: str) -> None:
        """One round of a method, in stages: each measured in the model as it is by then."""
        original = self.trace
        self.settled.clear()
        for names in stages(self.trace, [g for g in self._open_groups() if cuttable(g)]):
            groups = [g for g in self.trace.groups if g.name in names]
            if not groups:  # what an earlier stage left of them has another form
                continue
            self.say(f"{what}: measuring {groups[0].name}")
            first = self.trace is original
            stored = stored_moments(self.trace.document) | measured_values(self.trace, data, groups)
            prior = Analytic(self.trace, stored)
            found = measure(self.trace, groups, data, prior, None if first else original)
            found.trial = on_trial(data, self.trace, None if first else original, self.on_trial)
            moments.put(self.trace, found)
            self.run(lambda g, t, m, names=names: choose(g, t, m) if g.name in names else None, what, 1)  # type: ignore[misc]

    def exactly(self, ulps: float = EXACT_ULP, round_to: int = 1) -> None:
        """The exact pass to its fixed point; what it leaves are multiples of `round_to`."""
        self.run(lambda g, t, most: self._rounded(g, t, ulps, most, round_to), "exact pass", MAX_ROUNDS)

    def _rounded(
        self, group: ChannelGroup, traced: Trace, ulps: float, most: int | None, round_to: int
    ) -> Merge | None:
        found = self.exact(group, traced, ulps, most)
        if found is None or round_to == 1:
            return found
        left = rounded_up(found.size, len(found.keep), round_to)
        if left == found.size:
            return None
        if group.recurrences:
            return self.exact(group, traced, ulps, found.size - left)
        return restored(found, left)

    def exact(self, group: ChannelGroup, traced: Trace, ulps: float, most: int | None) -> Merge | None:
        """The exact pass on one group; what it proves but must leave is remembered."""
        if group.name in self.settled and not self.left[group.name] and not self._rows_changed(group):
            return exact_merge(group, traced.reader(group), ulps, unread_only=True)
        self.left[group.name] = []
        if not group.recurrences and not group.peers:
            self.settled.add(group.name)
        return exact_merge(group, traced.reader(group), ulps, self.left[group.name], most)

    def finds(self, choose: Choose, tensors: set[str]) -> bool:
        """Would a group that has one of these tensors lose a channel?"""
        own = (g for g in self._open_groups() if any(b.tensor in tensors for b in g.bindings))
        chosen = (choose(group, self.trace, None) for group in own)
        return any(m is not None and len(m.keep) < m.size for m in chosen)

    def reduction(self, document: Document, plan: MergePlan) -> Reduction:
        """The result for `document`, which is returned as it is where nothing was merged."""
        result = self.trace.document if self.rounds else document
        left = tuple(pair for pairs in self.left.values() for pair in pairs)
        before = replace(self.first, document=document)
        return Reduction(result, plan, before, self.trace, self.declined, left)

    def _in_step(self, merges: tuple[Merge, ...], choose: Choose) -> tuple[Merge, ...]:
        """The same merges, with equally many channels from all peers: the least that any can spare."""
        chosen = {m.group: m for m in merges}
        waiting = list(chosen)
        while waiting:
            group = self.trace.group(waiting.pop())
            if group.name not in chosen or not group.peers:
                continue
            least = min(len(chosen[p].dropped) if p in chosen else 0 for p in group.peers)
            if len(chosen[group.name].dropped) > least:
                fewer = choose(group, self.trace, least) if least else None
                if fewer is None:
                    del chosen[group.name]
                else:
                    chosen[group.name] = fewer
                waiting += [group.name, *group.peers]
        return tuple(m for m in chosen.values())

    def apply(self, merges: tuple[Merge, ...]) -> None:
        """One round, traced anew."""
        document, shapes = Surgery(self.trace, merges).apply()
        self.changed = _tensors(self.trace, merges)
        self.trace = trace(document, input_shapes=self.input_shapes, shapes=shapes)
        self.rounds.append(merges)

    def on_trial(self, merge: Merge) -> Trace | None:
        """The trace after one merge, which is not kept; None where sizes do not follow."""
        try:
            document, shapes = Surgery(self.trace, (merge,)).apply()
        except ShapesDisagree:
            return None
        return trace(document, input_shapes=self.input_shapes, shapes=shapes)

    def applied(self, merges: tuple[Merge, ...]) -> tuple[Merge, ...]:
        """Apply what can be applied; groups whose sizes do not follow are left alone, with the reason."""
        while merges:
            try:
                self.apply(merges)
                return merges
            except ShapesDisagree as error:
                for name in error.groups:
                    self.declined[name] = f"sizes in the graph do not follow: {error.what}"
                merges = tuple(
                    m for m in merges if not self._held({m.group, *self.trace.group(m.group).peers})
                )
        return ()

    def _held(self, names: set[str]) -> bool:
        return any(name in self.declined for name in names)

    def _open_groups(self) -> list[ChannelGroup]:
        """Groups to look at in this round: not those whose tensors are as they were when it found nothing."""
        return [
            g
            for g in self.trace.groups
            if g.frozen is None
            and g.name not in self.declined
            and self.wanted(g)
            and (g.name not in self.settled or any(b.tensor in self.changed for b in g.bindings))
        ]

    def _rows_changed(self, group: ChannelGroup) -> bool:
        """Did another group's merge change what makes or carries these channels in the last round?"""
        rows = (b.tensor for b in group.bindings if b.role is not Role.CONSUMER)
        return any(self.changed.get(tensor, set()) - {group.name} for tensor in rows)

    def wanted(self, group: ChannelGroup) -> bool:
        """Do the patterns ask for this group?"""
        names = _names(group)
        return (not self.include or _hit(names, self.include)) and not _hit(names, self.exclude)

    def _refuse_idle_patterns(self) -> None:
        names = {n for g in self.trace.groups for n in _names(g)}
        for pattern in (*self.include, *self.exclude):
            if not any(fnmatchcase(n, pattern) for n in names):
                raise UsageError(
                    f"no node or tensor matches {pattern!r}", remedy="`onnxdup report` lists the names"
                )


def _names(group: ChannelGroup) -> set[str]:
    """What patterns may name a group by: itself, the layers whose filters it holds, and their nodes."""
    made = [n for b in group.producers for n in (b.tensor, *b.nodes)]
    return {group.name, *made}


def _tensors(traced: Trace, merges: Sequence[Merge]) -> dict[str, set[str]]:
    """The tensors that a round edits, each with the groups that do."""
    changed: dict[str, set[str]] = {}
    for merge in merges:
        for binding in traced.group(merge.group).bindings:
            changed.setdefault(binding.tensor, set()).add(merge.group)
    return changed


def _hit(names: set[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(n, p) for n in names for p in patterns)
