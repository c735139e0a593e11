"""Models of any widths from one trace: moments and orders once per group, then cut at any count."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxdup.channels import ChannelGroup
from onnxdup.errors import UsageError
from onnxdup.evaluation.data import Dataset
from onnxdup.graph import Document
from onnxdup.merging import (
    Aim,
    Analytic,
    Merge,
    Method,
    Moments,
    Problem,
    cuttable,
    merge_to,
    method_named,
    order,
    problem_of,
)
from onnxdup.reduce.calibrating import measure
from onnxdup.reduce.curves import Curve
from onnxdup.reduce.job import Job, Progress
from onnxdup.reduce.sizes import Sizes, Unit
from onnxdup.surgery import ShapesDisagree, Surgery

WITHOUT_COUNT = ("exact", "paper")
"""Methods that take no number of channels: what they find decides."""
OUTLINE = "norm"
"""A method that costs nothing, for questions of size."""


class Candidates:
    """What `method` makes of the groups of `job.trace` at given counts.

    `curves` has the groups with a predicted error; where a method predicts none, it holds nothing. Groups
    that cannot be cut are not in `groups`: frozen, excluded, read without a weight, quantised, of one
    channel, or with sizes that do not follow.
    """

    def __init__(
        self, job: Job, method: Method, say: Progress, calibration: Dataset | None = None, seed: int = 0
    ) -> None:
        if method.name in WITHOUT_COUNT:
            raise UsageError(f"{method.name} takes no number of channels", remedy="choose another --method")
        self.job, self.method = job, method
        open_to = [
            g for g in job.trace.groups if cuttable(g) and job.wanted(g) and g.name not in job.declined
        ]
        self.groups = {g.name: g for g in open_to}
        self.curves: dict[str, Curve] = {}
        self._problems: dict[str, Problem] = {}
        self._seed = seed
        self._last: tuple[dict[str, int], tuple[Merge, ...]] | None = None
        analytic = Analytic(job.trace)
        self._moments: Moments = analytic
        if calibration is not None:
            say("measuring layers on the calibration data")
            self._moments = measure(job.trace, list(self.groups.values()), calibration, analytic)
        for name, group in list(self.groups.items()):
            say(f"error curve of {name}")
            self._add(group)
        self._probe()

    @property
    def sizes(self) -> dict[str, int]:
        """Channels of each group before anything is cut."""
        return {name: g.size for name, g in self.groups.items()}

    def costs(self, unit: Unit) -> Sizes:
        """How the model's size in a unit depends on the groups."""
        return Sizes(self.job.trace, self.groups.values(), unit)

    def merges(self, counts: Mapping[str, int]) -> tuple[Merge, ...]:
        """One merge for every group that `counts` narrows; the last answer is remembered."""
        if self._last is None or self._last[0] != counts:
            self._last = dict(counts), self._merges(self.method, counts)
        return self._last[1]

    def document(self, counts: Mapping[str, int]) -> Document:
        """The model with these counts."""
        return self._cut(self.merges(counts))

    def outline(self, counts: Mapping[str, int]) -> Document:
        """A model with these counts and any weights, made quickly: as large as `document` but for biases that
        compensation adds.
        """
        return self._cut(self._merges(method_named(OUTLINE), counts))

    def _merges(self, method: Method, counts: Mapping[str, int]) -> tuple[Merge, ...]:
        narrow = [(name, counts.get(name, g.size)) for name, g in self.groups.items()]
        found = [
            merge_to(method, self._problems[name], Aim(1.0, count, self._seed))
            for name, count in narrow
            if count < self.groups[name].size
        ]
        return tuple(m for m in found if m is not None)

    def _cut(self, merges: tuple[Merge, ...]) -> Document:
        return Surgery(self.job.trace, merges).apply()[0] if merges else self.job.trace.document

    def _add(self, group: ChannelGroup) -> None:
        problem = problem_of(group, self.job.trace, self._moments)
        if problem is None:
            del self.groups[group.name]
            return
        self._problems[group.name] = problem
        removal = order(self.method, problem)
        if removal is not None and np.isfinite(removal.cost).all():
            self.curves[group.name] = Curve.of(group.name, removal)

    def _probe(self) -> None:
        """Cut one channel of every group: those whose sizes do not follow go, with the reason."""
        while self.groups:
            try:
                self.outline({name: size - 1 for name, size in self.sizes.items()})
                return
            except ShapesDisagree as error:
                for name in error.groups:
                    self.job.declined[name] = f"sizes in the graph do not follow: {error.what}"
                    self.groups.pop(name, None)
                    self.curves.pop(name, None)
