"""Greedy removal of the pair whose merging changes the next layer least.

Srinivas and Babu, "Data-free parameter pruning for deep neural networks", BMVC 2015: the saliency of giving
unit j to unit i is mean(v_j²) ‖w_i − w_j‖², v_j what the next layer reads of j, which unit i then takes over.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.exact import columns
from onnxdup.merging.plan import Array
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import components
from onnxdup.merging.selection.clusters import Aim, Clusters, heirs


def select(problem: Problem, aim: Aim) -> Clusters:
    """Channels are given away one by one until so many are left."""
    n = problem.group.size
    apart = _squared_distances(problem.rows)
    square = _read(problem)
    target = np.arange(n)
    for _ in range(n - components.wanted(problem, aim)):
        saliency = apart * np.maximum(np.diag(square), 0)[None, :]
        i, j = divmod(int(np.argmin(saliency)), n)
        square[i, :] += square[j, :]
        square[:, i] += square[:, j]
        apart[j, :] = apart[:, j] = np.inf
        target[target == j] = i
    return heirs(np.unique(target), target)


def _read(problem: Problem) -> Array:
    """VᵀV over all sinks: (n, n)."""
    total = np.zeros((problem.group.size, problem.group.size))
    for sink in problem.group.sinks:
        if sink.use is not None:
            v = columns(sink, problem.reader).astype(np.float64)
            total += v @ v.T
    return total


def _squared_distances(rows: Array) -> Array:
    square = (rows**2).sum(1)
    apart = np.maximum(square[:, None] + square[None, :] - 2 * rows @ rows.T, 0)
    np.fill_diagonal(apart, np.inf)
    return np.asarray(apart)
