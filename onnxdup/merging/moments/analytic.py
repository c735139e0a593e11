"""Moments of channels without data.

Pre-activations are taken as Gaussian: mean and spread from BatchNormalization (beta, |gamma|) where there is
one, else from the bias, the filter and what is known of its input; correlations from the filters. Responses
follow by Hermite expansion of whatever the operators behind do to one channel, for groups with several
non-linearities by sampling. Where nothing tells the mean, it is unknown and no constant is compensated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from onnxdup.channels import Block, ChannelGroup, Trace
from onnxdup.channels.response import respond
from onnxdup.channels.tracer import Sink
from onnxdup.merging.moments.drawn import Drawn, Samples
from onnxdup.merging.moments.feed import Covariances, Feed
from onnxdup.merging.moments.feeds import Feeds, Known
from onnxdup.merging.moments.gaussian import Gaussian
from onnxdup.merging.moments.hermite import gram, hermite_coefficients
from onnxdup.merging.moments.sinks import Fit, SinkMoments, joint, taps_of
from onnxdup.merging.moments.sketch import stored_moments
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem

TINY = 1e-12
LARGEST = 8192
"""Channels of a group whose moments are computed: they are matrices."""


class Analytic:
    """Moments of the groups of a trace, each computed once. `stored` are measured moments of values, by
    default those of the sketch in the model.
    """

    def __init__(self, trace: Trace, stored: Mapping[str, Known] | None = None) -> None:
        self.trace = trace
        held = stored_moments(trace.document) if stored is None else stored
        self.feeds = Feeds(trace, self._known, held)
        self._expanded: dict[int, _Expanded | None] = {}
        self._drawn: dict[int, Drawn | None] = {}
        self._answers: dict[tuple[int, str], Known | None] = {}
        self._problems: dict[int, Problem] = {}

    def of(self, problem: Problem) -> list[SinkMoments] | None:
        """Moments at every sink of a group; None where they cannot be told."""
        group = problem.group
        if not _tellable(group):
            return None
        expanded = self._expand(group)
        if expanded is not None:
            return expanded.sinks()
        drawn = self._draw(group)
        if drawn is None:
            return None
        found = [_measured(sink, drawn.at(sink.input)) for sink in group.sinks]
        return None if any(f is None for f in found) else [f for f in found if f is not None]

    def folded(
        self, problem: Problem, mix: csr_array, keep: Index, offset: Array | None = None
    ) -> list[Fit] | None:
        """The regressions on channels whose pre-activations are mix @ those of the group + offset, with the
        carriers of `keep`. None where that has no closed form.
        """
        expanded = self._expand(problem.group) if _tellable(problem.group) else None
        return None if expanded is None else expanded.folded(mix, keep, offset)

    def gaussian(self, problem: Problem) -> Gaussian | None:
        """What a group's pre-activations are taken for; None where it has not one non-linearity."""
        expanded = self._expand(problem.group) if _tellable(problem.group) else None
        return None if expanded is None else expanded.gaussian

    def _known(self, number: int, value: str) -> Known | None:
        key = (number, value)
        if key not in self._answers:
            self._answers[key] = None
            self._answers[key] = self._ask(self.trace.groups[number], value)
        return self._answers[key]

    def _ask(self, group: ChannelGroup, value: str) -> Known | None:
        if group.size > LARGEST // 2:
            return None
        expanded = self._expand(group)
        if expanded is not None:
            return expanded.known(value)
        drawn = self._draw(group)
        samples = None if drawn is None else drawn.at(value)
        if samples is None:
            return None
        mean = samples.values.mean(1).astype(np.float64)
        return Known(mean if samples.known else None, np.cov(samples.values))

    def _expand(self, group: ChannelGroup) -> _Expanded | None:
        if group.number not in self._expanded:
            self._expanded[group.number] = None
            self._expanded[group.number] = _Expanded.of(self._problem(group), self.feeds)
        return self._expanded[group.number]

    def _draw(self, group: ChannelGroup) -> Drawn | None:
        if group.number not in self._drawn:
            composite = _composite(self._problem(group))
            reader = self.trace.reader(group)
            self._drawn[group.number] = None if composite else Drawn(group, reader, self.feeds.of)
        return self._drawn[group.number]

    def _problem(self, group: ChannelGroup) -> Problem:
        return self._problems.setdefault(group.number, Problem.of(self.trace, group))


class _Expanded:
    """A group with one non-linearity: Gaussian before it, a Hermite series behind it.

    `known_mean`: the mean is more than nothing; `certain`: means further on may be derived from it.
    """

    def __init__(
        self, problem: Problem, mean: Array, known: bool, certain: bool, apart: _Apart, series: list[Array]
    ) -> None:
        self.problem, self.mean, self.apart, self.series = problem, mean, apart, series
        self.known_mean, self.certain = known, certain

    @classmethod
    def of(cls, problem: Problem, feeds: Feeds) -> _Expanded | None:
        """None where the group has another form."""
        if _composite(problem) or len(problem.blocks) != 1:
            return None
        block = problem.blocks[0]
        found = [feeds.of(source) for source, _ in block.sources]
        told = [f for f in found if f is not None]
        if len(told) < len(found) or not told:
            return None
        apart = _Apart(problem, block, told)
        mean, spread, known = _gauss(problem, block, told, apart)
        certain = known and (block.mean is not None or not any(f.guessed for f in told))
        series = [
            hermite_coefficients(mean, spread, lambda z, k=k: _response(problem, z, k))  # type: ignore[misc]
            for k in range(len(problem.group.sinks))
        ]
        usable = all(np.isfinite(a).all() for a in series)
        return cls(problem, mean, known, certain, apart, series) if usable else None

    def sinks(self) -> list[SinkMoments]:
        """Moments at every sink."""
        out = []
        for sink, a in zip(self.problem.group.sinks, self.series, strict=True):
            offsets = taps_of(sink, len(a))
            second = joint(lambda o, a=a: gram(a, a, self.apart.at(o)), offsets)  # type: ignore[misc]
            second = (second + second.T) / 2
            mean = np.repeat(a[:, 0], len(offsets))
            out.append(SinkMoments(sink, mean, second, len(offsets), self.known_mean))
        return out

    @property
    def gaussian(self) -> Gaussian:
        """See `Analytic.gaussian`."""
        reader, covariance = self.problem.reader, self.apart.covariance
        return Gaussian(reader, np.asarray(self.mean), self.known_mean, covariance, self.series)

    def folded(self, mix: csr_array, keep: Index, offset: Array | None = None) -> list[Fit]:
        """See `Analytic.folded`."""
        form = self.apart
        spread = np.sqrt(np.maximum(np.diag(mix @ (mix @ form.covariance((0, 0))).T), TINY))
        mean = np.asarray(mix @ self.mean) + (0.0 if offset is None else offset)
        n, out = self.problem.group.size, []

        def response(z: Array, k: int) -> Array:
            whole = np.zeros((n, z.shape[1]))
            whole[keep] = z
            return _response(self.problem, whole, k)[keep]

        def cross(o: tuple[int, ...]) -> Array:
            return np.asarray((mix @ form.covariance(o).T).T / np.multiply.outer(form.total, spread))

        def inner(o: tuple[int, ...]) -> Array:
            whole = mix @ (mix @ form.covariance(o)).T
            return np.asarray(whole.T / np.multiply.outer(spread, spread))

        for k, (sink, a) in enumerate(zip(self.problem.group.sinks, self.series, strict=True)):
            b = hermite_coefficients(mean, spread, lambda z, k=k: response(z, k))  # type: ignore[misc]
            offsets = taps_of(sink, n)
            between = joint(lambda o, a=a, b=b: gram(a, b, np.clip(cross(o), -1, 1)), offsets)  # type: ignore[misc]
            inside = joint(lambda o, b=b: gram(b, b, np.clip(inner(o), -1, 1)), offsets)  # type: ignore[misc]
            taps = len(offsets)
            wanted, given = np.repeat(a[:, 0], taps), np.repeat(b[:, 0], taps)
            out.append(Fit(sink, self.known_mean, wanted, given, between, (inside + inside.T) / 2))
        return out

    def known(self, value: str) -> Known | None:
        """Mean and covariance at a value that a sink reads."""
        for sink, a in zip(self.problem.group.sinks, self.series, strict=True):
            if sink.input == value:
                b = a[:, 1:]
                covariance = gram(b, b, self.apart.at((0, 0)), first=1)
                return Known(a[:, 0] if self.certain else None, covariance)
        return None


class _Apart:
    """Correlations of the pre-activations of a block at two positions."""

    def __init__(self, problem: Problem, block: Block, feeds: list[Feed]) -> None:
        weights = block.weights(problem.reader)
        self.forms: list[Covariances] = [f.covariances(w) for f, w in zip(feeds, weights, strict=True)]
        here = [f.at((0, 0)) for f in self.forms]
        self.own = [np.sqrt(np.maximum(np.diag(c), TINY)) for c in here]
        spreads = block.spreads if block.mean is not None else ()
        self.weight = [s[:, 0] for s in spreads] if len(spreads) == len(here) else self.own
        self.total = np.sqrt(np.maximum(np.sum([w**2 for w in self.weight], axis=0), TINY))

    def at(self, offset: tuple[int, ...]) -> Array:
        """(channels, channels) in [-1, 1]."""
        whole = self.covariance(offset) / np.multiply.outer(self.total, self.total)
        return np.asarray(np.clip(whole, -1.0, 1.0))

    def covariance(self, offset: tuple[int, ...]) -> Array:
        """(channels, channels)."""
        if offset == (0, 0):
            return self._here
        return self._between(offset)

    @cached_property
    def _here(self) -> Array:
        return self._between((0, 0))

    def _between(self, offset: tuple[int, ...]) -> Array:
        total = np.zeros((len(self.total), len(self.total)))
        for form, own, weight in zip(self.forms, self.own, self.weight, strict=True):
            total += form.at(offset) * np.multiply.outer(weight / own, weight / own)
        return total


def _gauss(problem: Problem, block: Block, feeds: list[Feed], apart: _Apart) -> tuple[Array, Array, bool]:
    """(mean, spread, is the mean known) of the pre-activation."""
    n = problem.group.size
    if block.mean is not None:
        return np.broadcast_to(block.mean[:, 0], (n,)), apart.total, True
    found = [f.mean(w) for f, w in zip(feeds, block.weights(problem.reader), strict=True)]
    means = [m for m in found if m is not None]
    if len(means) < len(found):
        return np.zeros(n), apart.total, False
    return np.broadcast_to(block.shift[:, 0], (n,)) + np.sum(means, axis=0), apart.total, True


def _response(problem: Problem, z: Array, k: int) -> Array:
    out = respond(problem.reader, z)[k]
    return np.full_like(z, np.nan) if out is None else out


def _tellable(group: ChannelGroup) -> bool:
    """Few enough channels for matrices, all of them read through weights."""
    return group.size <= LARGEST and all(s.use is not None for s in group.sinks)


def _composite(problem: Problem) -> bool:
    """Channels that stand for several rows, or forms that no row can hold."""
    group, reader = problem.group, problem.reader
    for source in group.sources:
        index = reader.partition.positions(source.rows.ids, group.number)
        if index is None or index.shape[1] != 1:
            return True
    forms = problem.blocks
    return any(b.shift.shape[1] != 1 or any(g.shape[1] != 1 for _, g in b.sources) for b in forms)


def _measured(sink: Sink, samples: Samples | None) -> SinkMoments | None:
    if samples is None:
        return None
    values = samples.values.astype(np.float32)
    second = (values @ values.T).astype(np.float64) / values.shape[1]
    return SinkMoments(sink, values.mean(1).astype(np.float64), second, 1, samples.known)
