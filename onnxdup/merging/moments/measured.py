"""Moments measured on calibration data, batch by batch, and shrunk towards the analytic ones.

Batches go to two halves in turn. How far to shrink is what predicts the other half best: the weight with the
smallest error of the readers' outputs there, when half of the channels are rebuilt from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.channels import ChannelGroup, Trace
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
    def empty(cls, size: int, before: int | None = None) -> Half:
        """Nothing seen of `size` values now and `before` values then (None: as many)."""
        then = size if before is None else before
        return cls(0, np.zeros(size), np.zeros((size, size)), np.zeros(then), np.zeros((then, size)))

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
        size, then = _width(self.view), None if self.then is None else _width(self.then)
        self.halves = (Half.empty(size, then), Half.empty(size, then))

    @property
    def whole(self) -> Half:
        """Both halves."""
        return self.halves[0] + self.halves[1]

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


def _width(view: View) -> int:
    return len(view.index) * len(view.offsets)


Trial = Callable[[Problem, csr_array, Index, Array | None, Sequence[Tally]], "list[Tally] | None"]
"""What the sinks of a group read once its channels are mixed, beside what they read before, or None."""


class Measured:
    """Moments of some groups of a trace from batches of values. `original` is the trace of the model that
    `trace` was cut from, where that is another one. Mixed channels are measured on `trial`, where it is set.
    """

    def __init__(
        self, trace: Trace, groups: Iterable[ChannelGroup], analytic: Analytic, original: Trace | None = None
    ) -> None:
        self.analytic = analytic
        self.trial: Trial | None = None
        self.tallies: dict[str, list[Tally]] = {}
        self._weights: dict[str, list[float]] = {}
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
        expected = [_expected(t, p) for t, p in zip(tallies, priors, strict=True)]
        weights = [_weight(problem, *pair) for pair in zip(tallies, expected, strict=True)]
        self._weights[problem.group.name] = weights
        return [_shrunk(*each) for each in zip(tallies, expected, weights, strict=True)]

    def folded(
        self, problem: Problem, mix: csr_array, keep: Index, offset: Array | None = None
    ) -> list[Fit] | None:
        """Regressions on mixed channels, measured on trial and shrunk as far as those of the group; analytic
        where the group was not measured, None where data and moments look at different taps.
        """
        name = problem.group.name
        if name in self.tallies and name not in self._weights:
            return None
        prior = self.analytic.folded(problem, mix, keep, offset)
        if prior is None or name not in self.tallies:
            return prior
        tried = self.trial and self.trial(problem, mix, keep, offset, self.tallies[name])
        if not tried:
            return None
        if any(t.whole.hx.shape != p.cross.shape for t, p in zip(tried, prior, strict=True)):
            return None
        return [_refit(*each) for each in zip(tried, prior, self._weights[name], strict=True)]

    def gaussian(self, problem: Problem) -> Gaussian | None:
        """Pre-activations are not measured: what the analytic moments take them for."""
        return self.analytic.gaussian(problem)


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


def mixed(tallies: Sequence[Tally], cut: Trace, group: ChannelGroup) -> list[Tally] | None:
    """Empty tallies of what the same sinks read of a group that was mixed, beside what they read before.

    `cut` is the trace of the model in which that was done, `group` the group there. None where its sinks
    differ.
    """
    at = {(s.node.name, s.use.slot): s for s in group.sinks if s.use is not None}
    out = []
    for tally in tallies:
        was = tally.view.sink
        sink = at.get((was.node.name, was.use.slot))  # type: ignore[union-attr]
        view = None if sink is None else View.of(cut, group, sink)
        if view is None:
            return None
        out.append(Tally(replace(view, offsets=tally.view.offsets), tally.then or tally.view))
    return out


def _expected(tally: Tally, prior: SinkMoments | None) -> Array:
    """The covariance to shrink towards, at the scale of the data."""
    seen = tally.whole.covariance
    expected = np.diag(np.diag(seen)) if prior is None else prior.centred
    if expected.shape != seen.shape:
        expected = np.diag(np.diag(seen))
    return np.asarray(expected * (_power(seen) / _power(expected)))


def _shrunk(tally: Tally, target: Array, weight: float) -> SinkMoments:
    whole, taps = tally.whole, len(tally.view.offsets)
    covariance = weight * whole.covariance + (1 - weight) * target
    second = covariance + np.outer(whole.mean, whole.mean)
    before = None
    if tally.then is not None:
        mean = whole.h / whole.count
        between = weight * _between(whole) + (1 - weight) * target
        before = Before(mean, between + np.outer(mean, whole.mean))
    return SinkMoments(tally.view.sink, whole.mean, second, taps, True, before)


def _between(half: Half) -> Array:
    """Covariance of what was read then with what is read now."""
    return np.asarray(half.hx / half.count - np.outer(half.h / half.count, half.mean))


def _refit(tried: Tally, prior: Fit, weight: float) -> Fit:
    whole, sink = tried.whole, prior.sink
    inner = prior.inner - np.outer(prior.given, prior.given)
    cross = prior.cross - np.outer(prior.wanted, prior.given)
    scale = _power(whole.covariance) / _power(inner)
    inner = weight * whole.covariance + (1 - weight) * scale * inner
    cross = weight * _between(whole) + (1 - weight) * scale * cross
    wanted, given = whole.h / whole.count, whole.mean
    return Fit(sink, True, wanted, given, cross + np.outer(wanted, given), inner + np.outer(given, given))


def _power(covariance: Array) -> float:
    return max(float(np.trace(covariance)), 1e-30)


def _weight(problem: Problem, tally: Tally, expected: Array) -> float:
    """The weight of the data that serves the other half best."""
    if any(h.count < 2 for h in tally.halves):
        return 0.5
    n, taps = len(tally.view.index), len(tally.view.offsets)
    outgoing = problem.read_by(tally.view.sink, taps)
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
