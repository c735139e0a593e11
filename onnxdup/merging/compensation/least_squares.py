"""Least squares on the consumer: h ≈ U h' + c, the best for every output at once.

h' are the channels that stay, as they are (`compensate`) or as means of their clusters (`folded`, `weighted`;
where means of channels are known, whichever of both leaves the readers less error). U = C_hh'
(C_h'h' + lambda)⁻¹ with C the centred moments where means are known (then c = m − U m'), else the uncentred
ones and no constant. Over all taps of a kernel jointly where the moments are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from onnxdup.merging.compensation import mean
from onnxdup.merging.exact import binding_of
from onnxdup.merging.moments import Fit, fits_of, folded_fits
from onnxdup.merging.plan import Array, Index, Merge
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Clusters


def compensate(problem: Problem, clusters: Clusters) -> Merge:
    """Keep the leader of each label as it is and solve for every consumer."""
    keep = np.sort(clusters.leaders(problem.importance))
    fits = fits_of(problem, keep)
    if fits is None:
        return mean.weighted(problem, clusters)
    return Merge(problem.group.name, problem.group.size, keep, *absorbed(problem, fits))


def folded(problem: Problem, clusters: Clusters) -> Merge:
    """Keep the plain mean of each cluster and solve for every consumer with the moments of the means."""
    ones = np.ones(problem.group.size)
    return _refitted(problem, clusters, mean.mixture(problem, clusters, ones, ones))


def weighted(problem: Problem, clusters: Clusters) -> Merge:
    """The same with the mean of unit rows weighted by alpha."""
    return _refitted(problem, clusters, mean.mixture(problem, clusters, problem.norms, problem.importance))


def _refitted(problem: Problem, clusters: Clusters, found: mean.Mixture) -> Merge:
    written = mean.written(problem, found)
    fits = folded_fits(problem, found.mix, found.keep) if written is not None else None
    if written is None or fits is None or _better_alone(problem, fits, found.keep):
        return compensate(problem, clusters)
    n, name = problem.group.size, problem.group.name
    return Merge(name, n, found.keep, *absorbed(problem, fits), *written, found.clusters)


def _better_alone(problem: Problem, fits: list[Fit], keep: Index) -> bool:
    """Do the leaders as they are explain more of what the readers make of the channels than the means do?

    Asked only where the means of channels are known: uncentred moments do not tell.
    """
    alone = fits_of(problem, keep) if all(f.known for f in fits) else None
    return alone is not None and explained(problem, alone) > explained(problem, fits)


def explained(problem: Problem, fits: list[Fit]) -> float:
    """Squared size of the readers' outputs that is left no error: ‖V h‖² − ‖V (h − U h' − c)‖²."""
    n = problem.group.size
    return sum(f.explained(problem.read_by(f.sink, len(f.wanted) // n)) for f in fits)


def absorbed(problem: Problem, fits: list[Fit]) -> tuple[Mapping[str, csr_array], Mapping[str, Array]]:
    """(unmerge per consumer, constants per sink that has room for one)."""
    unmerge: dict[str, csr_array] = {}
    constant: dict[str, Array] = {}
    for fit in fits:
        u, shift = fit.solve()
        unmerge[binding_of(problem.group, fit.sink).key] = csr_array(u)
        if fit.sink.room and shift.any():
            constant[fit.sink.node.name] = shift
    return unmerge, constant
