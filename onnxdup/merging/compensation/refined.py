"""Least squares on the consumer and on the filters: the units that stay become what serves the readers best.

The filters of the kept channels are moved, as mixtures of all filters of the group, so that the error that
least squares on the readers leaves is smallest under the Gaussian model (see `moments.projection`; L-BFGS,
Liu and Nocedal, Mathematical Programming 45, 1989). It starts at the kept channels and never ends above.
Where rows cannot be rewritten, channels have no moments in closed form, nobody knows their means, or means
of clusters do better, that is `least_squares`.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from onnxdup.merging.compensation import least_squares, mean
from onnxdup.merging.moments import Fit, fits_of, folded_fits, gaussian_of, moments_of
from onnxdup.merging.moments.gaussian import Gaussian
from onnxdup.merging.moments.hermite import ORDERS
from onnxdup.merging.moments.projection import Projection, displacements_of
from onnxdup.merging.moments.sinks import taps_of
from onnxdup.merging.plan import Array, Index, Merge
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Clusters

ROUNDS, FEWEST, WORK = 60, 5, 4e7
"""Most iterations, fewest that are worth a start, and most multiplications of the series in all of them."""
WORTHWHILE = 1e-4, 1e-2
"""Squared error, relative to what readers put out, below which filters stay: where all rounds are affordable,
and where they are not.
"""
FINEST = 3e-4
"""A step that gains less than this share of the error at the start is the last."""


def compensate(problem: Problem, clusters: Clusters) -> Merge:
    """Keep one channel of each label, move its filter, and solve for every consumer."""
    several = len(clusters.labels) > clusters.count + int((clusters.labels < 0).sum())
    means = mean.mixture(problem, clusters, problem.norms, problem.importance) if several else None
    keep = np.sort(clusters.leaders(problem.importance)) if means is None else means.keep
    found = _refined(problem, keep)
    written = None if found is None else mean.written(problem, found)
    fits = None if found is None else folded_fits(problem, found.mix, keep, found.offset)
    if written is None or fits is None or not _better(problem, fits, keep, means):
        plain = least_squares.compensate if means is None else least_squares.weighted
        return plain(problem, clusters)
    absorbed = least_squares.absorbed(problem, fits)
    named = () if means is None else means.clusters
    return Merge(problem.group.name, problem.group.size, keep, *absorbed, *written, named)


def _refined(problem: Problem, keep: Index) -> mean.Mixture | None:
    """The moved units; None where rows cannot be written or nobody knows their means."""
    gaussian = gaussian_of(problem)
    if gaussian is None or not gaussian.known:
        return None
    if mean.written(problem, _mixture(problem, keep, *_unmoved(problem, keep))) is None:
        return None
    return _mixture(problem, keep, *_moved(problem, gaussian, keep))


def _better(problem: Problem, fits: list[Fit], keep: Index, means: mean.Mixture | None) -> bool:
    """Do moved units account for as much of what readers put out as units that stayed? Data may say no."""
    stayed = [fits_of(problem, keep)] + ([folded_fits(problem, means.mix, keep)] if means else [])
    most = max(least_squares.explained(problem, f) for f in stayed if f is not None)
    return least_squares.explained(problem, fits) >= most


def _moved(problem: Problem, gaussian: Gaussian, keep: Index) -> tuple[Array, Array]:
    """(mix (k, n), offset (k,)) of the units with the smallest error that was found.

    It starts at the kept channels, not at means of clusters: from there the error comes down as far, but the
    moved units serve real data less well.
    """
    from scipy.optimize import fmin_l_bfgs_b

    rounds = _rounds(problem, keep)
    if not rounds or _left(problem, keep) < WORTHWHILE[rounds < ROUNDS]:
        return _unmoved(problem, keep)
    free = all(b.slot is not None and b.slot_gain is not None for b in problem.blocks)
    loss = Projection(gaussian, outgoing(problem), keep, free)
    start = loss.start
    before, slope = loss(start)
    if not 0 < before < np.inf or not np.isfinite(slope).all():
        return _unmoved(problem, keep)

    def relative(x: Array) -> tuple[float, Array]:
        value, gradient = loss(x)
        return value / before, gradient / before

    best, after, _ = fmin_l_bfgs_b(
        relative, start, maxiter=rounds, maxfun=2 * rounds, factr=FINEST / np.finfo(np.float64).eps
    )
    return loss.units(best) if after < 1 else _unmoved(problem, keep)


def _left(problem: Problem, keep: Index) -> float:
    """Relative squared error of the readers' outputs with the kept channels as they are."""
    moments = moments_of(problem) or []
    read = [problem.read_by(m.sink, m.taps) for m in moments]
    whole = sum(float(((w @ m.centred) * w).sum()) for w, m in zip(read, moments, strict=True))
    made = least_squares.explained(problem, [m.fit(keep) for m in moments])
    return 1 - made / whole if whole > 0 else 0.0


def _rounds(problem: Problem, keep: Index) -> int:
    group = problem.group
    _, apart = displacements_of(group.sinks, group.size)
    series = len(group.sinks) * group.size * len(apart) * len(keep)
    found = min(ROUNDS, int(WORK / (series * ORDERS)))
    return found if found >= FEWEST else 0


def _unmoved(problem: Problem, keep: Index) -> tuple[Array, Array]:
    return np.eye(problem.group.size)[keep], np.zeros(len(keep))


def _mixture(problem: Problem, keep: Index, mix: Array, offset: Array) -> mean.Mixture:
    n = problem.group.size
    target = np.full(n, -1)
    target[keep] = np.arange(len(keep))
    return mean.Mixture(keep, csr_array(mix), target, np.ones(n), None, offset)


def outgoing(problem: Problem) -> list[Array]:
    """What each sink reads: (outputs, n·taps)."""
    return [problem.read_by(s, len(taps_of(s, problem.group.size))) for s in problem.group.sinks]
