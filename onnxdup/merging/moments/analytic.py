"""Moments of a group's channels without data.

Pre-activations are taken as Gaussian: mean and spread from BatchNormalization (beta, |gamma|) where there is
one, else the bias and the norm of the filter under the input prior; correlations from the filters. The
responses follow by Hermite expansion of whatever the operators behind do to one channel. Where neither
BatchNormalization nor the input tells the mean, it is unknown and no constant is compensated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels import Trace
from onnxdup.channels.flow import respond
from onnxdup.channels.tracer import Sink
from onnxdup.merging.moments.hermite import gram, hermite_coefficients
from onnxdup.merging.moments.prior import row_covariance
from onnxdup.merging.plan import Array
from onnxdup.merging.problem import Problem

TINY = 1e-12


@dataclass(frozen=True)
class SinkMoments:
    """What one sink reads: `second` (n·taps, n·taps) uncentred, `mean` (n·taps,); `known` where the mean is.

    With taps > 1 the entries are (channel, tap): what a k × k kernel sees at once.
    """

    sink: Sink
    mean: Array
    second: Array
    taps: int
    known: bool

    @property
    def centred(self) -> Array:
        """Covariance where the mean is known, else the uncentred moment."""
        return self.second - np.outer(self.mean, self.mean) if self.known else self.second


def analytic_moments(trace: Trace, problem: Problem, joint: bool = True) -> list[SinkMoments] | None:
    """Moments at every sink of a group with one block, or None where the group has another form."""
    if len(problem.blocks) != 1 or len(problem.blocks[0].sources) != 1:
        return None
    block = problem.blocks[0]
    source, gain = block.sources[0]
    if gain.shape[1] != 1 or block.shift.shape[1] != 1:
        return None
    rows = block.weights(problem.reader)[0]
    own = np.sqrt(np.maximum(np.diag(row_covariance(trace, source, rows)), TINY))
    known = block.mean is not None or _is_input(trace, source.node.inputs[0])
    if block.mean is not None:
        mean, spread = block.mean[:, 0], np.maximum(block.spreads[0][:, 0], TINY)
    else:
        mean, spread = (block.shift[:, 0] if known else np.zeros(len(rows))), own
    found = []
    for k, sink in enumerate(problem.group.sinks):
        if sink.use is None:
            return None
        a = hermite_coefficients(mean, spread, lambda z, k=k: respond(problem.reader, z)[k])  # type: ignore[misc]
        if not np.isfinite(a).all():
            return None
        offsets = _taps(sink) if joint else [(0, 0)]
        second = _joint(lambda o: _correlation(row_covariance(trace, source, rows, o), own), a, offsets)
        found.append(SinkMoments(sink, np.repeat(a[:, 0], len(offsets)), second, len(offsets), known))
    return found


def _correlation(covariance: Array, spread: Array) -> Array:
    return np.clip(covariance / np.multiply.outer(spread, spread), -1.0, 1.0)


def _is_input(trace: Trace, name: str) -> bool:
    from onnxdup.merging.moments.prior import MOVES

    node = trace.document.producer_of(name)
    while node is not None and node.op_type in MOVES:
        name = node.inputs[0]
        node = trace.document.producer_of(name)
    return node is None


def _taps(sink: Sink) -> list[tuple[int, int]]:
    """Positions of the kernel of a two-dimensional Conv that reads the channels; one position otherwise."""
    assert sink.use is not None
    shape = sink.use.constant.shape
    if sink.node.op_type != "Conv" or len(shape) != 4 or int(sink.node.attrs.get("group", 1)) != 1:
        return [(0, 0)]
    step = tuple(int(d) for d in sink.node.attrs.get("dilations", (1, 1)))
    return [(y * step[0], x * step[1]) for y in range(shape[2]) for x in range(shape[3])]


def _joint(correlation, a: Array, offsets: list[tuple[int, int]]) -> Array:  # type: ignore[no-untyped-def]
    """Second moment over (channel, tap): equal displacements share one Gram matrix."""
    n, taps = len(a), len(offsets)
    if taps == 1:
        return gram(a, a, correlation((0, 0)))
    out = np.empty((n, taps, n, taps))
    grams: dict[tuple[int, int], Array] = {}
    for s, p in enumerate(offsets):
        for t, q in enumerate(offsets):
            apart = (q[0] - p[0], q[1] - p[1])
            if apart not in grams:
                grams[apart] = gram(a, a, correlation(apart))
            out[:, s, :, t] = grams[apart]
    whole = out.reshape(n * taps, n * taps)
    return (whole + whole.T) / 2


def moments_of(problem: Problem) -> list[SinkMoments] | None:
    """The moments of a problem, computed once."""
    if "moments" not in problem.cache:
        found = None if problem.trace is None else analytic_moments(problem.trace, problem)
        problem.cache["moments"] = found
    held = problem.cache["moments"]
    return held if isinstance(held, list) else None
