"""Least squares on the consumer: h ≈ U h[keep] + c, the best for every output at once.

U = C[:, keep] (C[keep, keep] + lambda)⁻¹ with C the centred moment where means are known (then c = m − U
m[keep]), else the uncentred one and no constant. Over all taps of a kernel jointly where the moments are.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from onnxdup.merging.compensation import mean
from onnxdup.merging.exact import binding_of
from onnxdup.merging.moments import SinkMoments, moments_of
from onnxdup.merging.plan import Array, Index, Merge
from onnxdup.merging.problem import Problem

RIDGE = 1e-6


def solve(moments: SinkMoments, keep: Index) -> tuple[Array, Array]:
    """(U (n·taps, k·taps), constant (n·taps,)), identity on the kept channels."""
    places = (keep[:, None] * moments.taps + np.arange(moments.taps)).ravel()
    c = moments.centred
    inner = c[np.ix_(places, places)]
    ridge = RIDGE * max(float(np.trace(inner)) / max(len(inner), 1), 1e-30)
    factor = cho_factor(inner + ridge * np.eye(len(inner)))
    u = cho_solve(factor, c[places]).T
    u[places] = np.eye(len(places))
    constant = moments.mean - u @ moments.mean[places] if moments.known else np.zeros(len(moments.mean))
    constant[places] = 0.0
    return np.asarray(u), np.asarray(constant)


def compensate(problem: Problem, labels: Index) -> Merge:
    """Keep one channel of each label, the one of largest alpha, and solve for every consumer."""
    moments = moments_of(problem)
    if moments is None:
        return mean.weighted(problem, labels)
    order = np.lexsort((np.arange(len(labels)), -problem.importance, labels))
    ranked = labels[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]] & (ranked >= 0))
    keep = np.sort(order[first])
    unmerge: dict[str, csr_array] = {}
    constant: dict[str, Array] = {}
    for found in moments:
        u, shift = solve(found, keep)
        unmerge[binding_of(problem.group, found.sink).key] = csr_array(u)
        if found.sink.room and shift.any():
            constant[found.sink.node.name] = shift
    return Merge(problem.group.name, problem.group.size, keep, unmerge, constant)
