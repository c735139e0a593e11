"""Optimal brain surgeon on channels: backward elimination with the smallest error after recompensation.

Hassibi and Stork, NIPS 1992, on the second moment of what the next layers read instead of a loss Hessian.
Removing channel i, with everything else free to make good, costs tr(V_i [Inv_ii]⁻¹ V_iᵀ); Inv is down-dated
block by block (a channel seen through k × k taps is a block), and V follows.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.exact import columns
from onnxdup.merging.moments import SinkMoments, moments_of
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import linkage

RIDGE = 1e-6


def eliminate(moment: Array, outgoing: Array, taps: int, keep: int) -> tuple[Index, Array]:
    """(kept channels ascending, cost of each channel when it went, 0 for kept ones).

    `moment` is (n·taps, n·taps), `outgoing` (outputs, n·taps), both float64.
    """
    n = len(moment) // taps
    ridge = RIDGE * max(float(np.trace(moment)) / len(moment), 1e-30)
    inverse = np.asarray(np.linalg.inv(moment + ridge * np.eye(len(moment))), np.float64)
    v = np.array(outgoing, np.float64)
    alive, paid = np.ones(n, bool), np.zeros(n)
    for _ in range(n - keep):
        cost = _costs(inverse, v, taps)
        cost[~alive] = np.inf
        i = int(np.argmin(cost))
        paid[i], alive[i] = cost[i], False
        block = slice(i * taps, (i + 1) * taps)
        column = inverse[:, block]
        inner = np.linalg.solve(column[block], column.T)
        v -= v[:, block] @ inner
        inverse -= column @ inner
        inverse[block, :] = 0.0
        inverse[:, block] = 0.0
        inverse[block, block] = np.eye(taps)
        v[:, block] = 0.0
    return np.flatnonzero(alive), paid


def _costs(inverse: Array, v: Array, taps: int) -> Array:
    n = len(inverse) // taps
    if taps == 1:
        return np.asarray((v**2).sum(0) / np.maximum(np.diag(inverse), 1e-300))
    places = np.arange(n * taps).reshape(n, taps)
    blocks = inverse[places[:, :, None], places[:, None, :]]
    outer = np.einsum("oct,ocs->cts", v.reshape(-1, n, taps), v.reshape(-1, n, taps), optimize=True)
    return np.asarray(np.trace(np.linalg.solve(blocks, outer), axis1=1, axis2=2))


def select(problem: Problem, tau: float, keep: float | None = None) -> Index:
    """A label of its own for each kept channel, -1 for the others; as many as linkage leaves at tau, or a
    share.
    """
    n = problem.group.size
    count = int(linkage.select(problem, tau).max()) + 1 if keep is None else max(1, round(keep * n))
    moments = moments_of(problem)
    if moments is None:
        return linkage.select(problem, tau, count / n)
    kept, _ = eliminate(*_stacked(problem, moments), count)
    labels = np.full(n, -1)
    labels[kept] = np.arange(count)
    return labels


def _stacked(problem: Problem, moments: list[SinkMoments]) -> tuple[Array, Array, int]:
    """(moment, outgoing, taps) of all sinks: the widest view, the others through their first tap."""
    widest = max(moments, key=lambda m: m.taps)
    taps, n = widest.taps, problem.group.size
    parts = []
    for found in moments:
        v = columns(found.sink, problem.reader).astype(np.float64)
        w = np.moveaxis(v.reshape(n, -1, found.taps), 2, 1).reshape(n * found.taps, -1).T
        if found.taps != taps:
            wide = np.zeros((w.shape[0], n, taps))
            wide[:, :, 0] = w.reshape(w.shape[0], n, -1).sum(2)
            w = wide.reshape(w.shape[0], n * taps)
        parts.append(w)
    return widest.centred, np.concatenate(parts), taps
