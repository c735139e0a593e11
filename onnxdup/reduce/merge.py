"""`merge`: exact rounds until nothing changes, then at tau < 1 one approximate round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.channels.relation import EXACT_ULP
from onnxdup.errors import UsageError
from onnxdup.graph import Document, blamed
from onnxdup.merging import (
    Merge,
    MergePlan,
    Method,
    approximate_merge,
    exact_merge,
    method_named,
)
from onnxdup.reduce.cloning import Clones, with_clones
from onnxdup.reduce.job import Job, Progress, Shape, Shared
from onnxdup.reduce.reduction import Reduction
from onnxdup.surgery import separated

if TYPE_CHECKING:
    from onnxdup.evaluation.data import Dataset


def merge(
    document: Document,
    tau: float = 1.0,
    method: str | None = None,
    *,
    keep: float | Mapping[str, int] | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    input_shapes: Mapping[str, Shape] | None = None,
    shapes: Mapping[str, Shape] | None = None,
    ulps: float = EXACT_ULP,
    constant_inputs: bool = False,
    clones: bool = True,
    compensation: str | None = None,
    seed: int = 0,
    calibration: Dataset | None = None,
    progress: Progress | None = None,
) -> Reduction:
    """Merge duplicate filters of a document.

    `tau` = 1 is the exact pass alone. Below 1 the exact pass runs first (not for methods of others, which are
    what their authors wrote), then `method`, by default `cluster`. `keep` is the share of its channels
    that each group keeps, or how many of them (group → count; groups that it does not name stay as they
    are). `include` and `exclude` are globs over the names of groups, tensors and nodes.
    `constant_inputs` makes constants of the weights that callers could override. With `clones` the readers of
    a shared weight get copies where merging saves more than they take. `compensation` replaces the
    method's own, `seed` is for methods that draw. With `calibration` data the groups are measured and cut one
    after the other (see `calibrating`). Raises UsageError for a bad tau, method, count or pattern.
    """
    if not 0 < tau <= 1:
        raise UsageError(f"tau is {tau}", remedy="choose 0 < tau <= 1; 1 merges exact duplicates only")
    chosen = method_named(method or ("exact" if tau == 1 else "cluster"), compensation)
    start = document.with_constant_inputs() if constant_inputs else document
    say = progress or (lambda _: None)

    def begin(copies: Clones) -> Job:
        return Job(separated(start, copies), include, exclude, input_shapes, shapes, say)

    task = _Task(document, start, begin, chosen, tau, keep, ulps, seed, calibration)
    with blamed(document):
        plain = task.finish(())
        return with_clones(plain, task.finish, task.promising) if clones else plain


@dataclass(frozen=True)
class _Task:
    """One method at one threshold or count, tried on `start` with any copies of shared weights."""

    document: Document
    start: Document
    begin: Callable[[Clones], Job]
    method: Method
    tau: float
    keep: float | Mapping[str, int] | None
    ulps: float
    seed: int
    calibration: Dataset | None
    moments: Shared = field(default_factory=Shared)

    def finish(self, copies: Clones) -> Reduction:
        """What the method makes of the document with these copies."""
        job, method = self.begin(copies), self.method
        if isinstance(self.keep, Mapping):
            _refuse_unknown(self.keep, job.trace)
        if method.exact_first:
            job.exactly(self.ulps)
        what = f"{method.name} at tau {self.tau:g}"
        if self._approximates and self.calibration is not None:
            job.measured(self.approximate, self.moments, self.calibration, what)
        elif self._approximates:
            job.run(self.approximate, what, 1)
        rounds, fixed = tuple(job.rounds), self.start is not self.document
        plan = MergePlan(self.document.sha256(), method.name, self.tau, rounds, fixed, copies)
        return job.reduction(self.document, plan)

    def promising(self, copies: Clones, tensor: str) -> bool:
        """Would a group of this weight, or of a copy, lose a channel?"""
        job = self.begin(copies)
        tensors = {tensor, *(name for name in job.trace.document.weights if name not in self.start.weights)}
        found = job.finds(lambda g, t, _: exact_merge(g, t.reader(g), self.ulps), tensors)
        return found or (self._approximates and job.finds(self.approximate, tensors))

    def approximate(self, group: ChannelGroup, traced: Trace, most: int | None) -> Merge | None:
        """The method on one group, which loses `most` channels where that is given."""
        count = self._count(group) if most is None else group.size - most
        known = self.moments.of(traced)
        return approximate_merge(
            self.method, group, traced, self.tau, count=count, seed=self.seed, moments=known
        )

    @property
    def _approximates(self) -> bool:
        return self.method.name != "exact"

    def _count(self, group: ChannelGroup) -> int | None:
        if isinstance(self.keep, Mapping):
            return self.keep.get(group.name, group.size)
        return None if self.keep is None else max(1, round(self.keep * group.size))


def replay(
    document: Document, plan: MergePlan, *, input_shapes: Mapping[str, Shape] | None = None
) -> Reduction:
    """Apply a stored plan. UsageError where it was made for another model."""
    if plan.source != document.sha256():
        raise UsageError(
            "the plan was made for another model", file=document.path, remedy="make a new plan from this file"
        )
    start = document.with_constant_inputs() if plan.constant_inputs else document
    job = Job(separated(start, plan.clones), (), (), input_shapes, None, lambda _: None)
    for merges in plan.rounds:
        job.apply(merges)
    return job.reduction(document, plan)


def _refuse_unknown(counts: Mapping[str, int], traced: Trace) -> None:
    names = {g.name for g in traced.groups if g.frozen is None}
    wrong = [n for n, count in counts.items() if n not in names or count < 1]
    if wrong:
        raise UsageError(
            f"no channels can be counted for {wrong[0]!r}",
            remedy="name groups that are not frozen (`onnxdup report --json`), each with 1 or more",
        )
