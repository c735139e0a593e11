"""Moments measured on calibration data, batch by batch, and shrunk towards the analytic ones.

Batches go to two halves in turn. How far to shrink is what predicts the other half best: the weight with the
smallest error of the readers' outputs there, when half of the channels are rebuilt from the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.merging.exact import columns
from onnxdup.merging.moments.analytic import Analytic
from onnxdup.merging.moments.gaussian import Gaussian
from onnxdup.merging.moments.sinks import Before, Fit, SinkMoments, solved
from onnxdup.merging.moments.views import View
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem

Values = Mapping[str, npt.NDArray[np.generic]]
ROWS = 4096
"""Most places of one batch that a sink is looked at."""
WEIGHTS = (1.0, 0.95, 0.85, 0.7, 0.5, 0.25, 0.0)


@dataclass
class Half:
    """Sums over half of the batches of what a sink reads now (x) and read in the original model (h)."""

    count: int
    x: Array
    xx: Array
    h: Array
    hx: Array

    @classmethod
    def empty(cls, size: int) -> Half:
        """Nothing seen."""
        return cls(0, np.zeros(size), np.zeros((size, size)), np.zeros(size), np.zeros((size, size)))

    def add(self, x: npt.NDArray[np.float32], h: npt.NDArray[np.float32]) -> None:
        """One batch: (rows, size) each."""
        self.count += len(x)
        self.x += x.sum(0, dtype=np.float64)
        self.xx += x.T @ x
        self.h += h.sum(0, dtype=np.float64)
        if h is not x:
            self.hx += h.T @ x

    def __add__(self, other: Half) -> Half:
        return Half(
            self.count + other.count,
            self.x + other.x,
            self.xx + other.xx,
            self.h + other.h,
            self.hx + other.hx,
        )

    @property
    def mean(self) -> Array:
        """Mean of x."""
        return self.x / max(self.count, 1)

    @property
    def covariance(self) -> Array:
        """Covariance of x."""
        return np.asarray(self.xx / max(self.count, 1) - np.outer(self.mean, self.mean))


@dataclass
class Tally:
    """What one sink of a group has seen; `then` is the same sink in the original model."""

    view: View
    then: View | None
    halves: tuple[Half, Half] = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.view.index) * len(self.view.offsets)
        self.halves = (Half.empty(size), Half.empty(size))

    def add(self, now: Values, before: Values, number: int) -> None:
        """Batch `number`."""
        value = np.asarray(now[self.view.sink.input])
        if value.ndim != self.view.rank:
            return
        random = np.random.default_rng(number)
        places = self.view.places(value.shape, ROWS, random)
        x = self.view.rows(value, places)
        h = x if self.then is None else self.then.rows(np.asarray(before[self.then.sink.input]), places)
        self.halves[number % 2].add(x, h)


class Measured:
    """Moments of some groups of a trace from batches of values. `original` is the trace of the model that
    `trace` was cut from, where that is another one.
    """

    def __init__(
        self, trace: Trace, groups: Iterable[ChannelGroup], analytic: Analytic, original: Trace | None = None
    ) -> None:
        self.analytic = analytic
        self.tallies: dict[str, list[Tally]] = {}
        for group in groups:
            tallies = _tallies(trace, group, original)
            if tallies is not None:
                self.tallies[group.name] = tallies
        self._number = 0

    @property
    def now(self) -> list[str]:
        """Values of the model that `add` needs."""
        return sorted({t.view.sink.input for ts in self.tallies.values() for t in ts})

    @property
    def before(self) -> list[str]:
        """Values of the original model that `add` needs."""
        return sorted({t.then.sink.input for ts in self.tallies.values() for t in ts if t.then is not None})

    def add(self, now: Values, before: Values) -> None:
        """One batch."""
        for tallies in self.tallies.values():
            for tally in tallies:
                tally.add(now, before, self._number)
        self._number += 1

    def of(self, problem: Problem) -> list[SinkMoments] | None:
        """Moments at every sink, of the group as it was measured; analytic ones where nothing was."""
        prior = self.analytic.of(problem)
        tallies = self.tallies.get(problem.group.name)
        if tallies is None or any(sum(h.count for h in t.halves) < 2 for t in tallies):
            return prior
        priors: list[SinkMoments | None] = [None] * len(tallies) if prior is None else [*prior]
        return [_shrunk(problem, t, p) for t, p in zip(tallies, priors, strict=True)]

    def folded(
        self, problem: Problem, mix: csr_array, keep: Index, offset: Array | None = None
    ) -> list[Fit] | None:
        """Means of channels are not measured: analytic where the group was not measured, else None."""
        measured = problem.group.name in self.tallies
        return None if measured else self.analytic.folded(problem, mix, keep, offset)

    def gaussian(self, problem: Problem) -> Gaussian | None:
        """Pre-activations are not measured: analytic where the group was not measured, else None."""
        return None if problem.group.name in self.tallies else self.analytic.gaussian(problem)


def _tallies(trace: Trace, group: ChannelGroup, original: Trace | None) -> list[Tally] | None:
    views = [View.of(trace, group, s) for s in group.sinks if s.use is not None]
    found = [v for v in views if v is not None]
    if len(found) < len(group.sinks):
        return None
    if original is None:
        return [Tally(v, None) for v in found]
    was = next((g for g in original.groups if g.name == group.name and g.size == group.size), None)
    at = {} if was is None else {(s.node.name, s.use.slot): s for s in was.sinks if s.use is not None}
    out = []
    for view in found:
        sink = at.get((view.sink.node.name, view.sink.use.slot))  # type: ignore[union-attr]
        then = None if sink is None or was is None else View.of(original, was, sink)
        if then is None or len(then.offsets) != len(view.offsets):
            return [Tally(v, None) for v in found]
        out.append(Tally(view, then))
    return out


def _shrunk(problem: Problem, tally: Tally, prior: SinkMoments | None) -> SinkMoments:
    whole = tally.halves[0] + tally.halves[1]
    size, taps = len(whole.x), len(tally.view.offsets)
    expected = np.diag(np.diag(whole.covariance)) if prior is None else prior.centred
    if expected.shape != (size, size):
        expected = np.diag(np.diag(whole.covariance))
    weight = _weight(problem, tally, expected)
    target = expected * (_power(whole.covariance) / _power(expected))
    covariance = weight * whole.covariance + (1 - weight) * target
    second = covariance + np.outer(whole.mean, whole.mean)
    before = None
    if tally.then is not None:
        mean = whole.h / whole.count
        between = whole.hx / whole.count - np.outer(mean, whole.mean)
        between = weight * between + (1 - weight) * target
        before = Before(mean, between + np.outer(mean, whole.mean))
    return SinkMoments(tally.view.sink, whole.mean, second, taps, True, before)


def _power(covariance: Array) -> float:
    return max(float(np.trace(covariance)), 1e-30)


def _weight(problem: Problem, tally: Tally, expected: Array) -> float:
    """The weight of the data that serves the other half best."""
    if any(h.count < 2 for h in tally.halves):
        return 0.5
    v = columns(tally.view.sink, problem.reader).astype(np.float64)
    n, taps = len(tally.view.index), len(tally.view.offsets)
    outgoing = np.moveaxis(v.reshape(n, -1, taps), 2, 1).reshape(n * taps, -1).T
    kept = np.random.default_rng(0).permutation(n)[: max(1, n // 2)]
    places = (np.sort(kept)[:, None] * taps + np.arange(taps)).ravel()
    errors = [sum(_missed(*pair, expected, w, places, outgoing) for pair in _pairs(tally)) for w in WEIGHTS]
    return WEIGHTS[int(np.argmin(errors))]


def _pairs(tally: Tally) -> list[tuple[Array, Array]]:
    a, b = (h.covariance for h in tally.halves)
    return [(a, b), (b, a)]


def _missed(seen: Array, unseen: Array, expected: Array, w: float, places: Index, outgoing: Array) -> float:
    """Squared error of the readers' outputs on one half of channels rebuilt by what the other half says."""
    c = w * seen + (1 - w) * expected * (_power(seen) / _power(expected))
    inner = c[np.ix_(places, places)]
    u = solved(inner, c[places]).T
    left = outgoing.copy()
    left[:, places] -= outgoing @ u
    return float(np.einsum("oi,ij,oj->", left, unseen, left, optimize=True))
