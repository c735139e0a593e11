"""Neuron merging: norm pruning in which each dropped filter is given to the most similar kept one.

Kim, Kim, Park, Jeon, "Neuron Merging: Compensating for Pruned Neurons", NeurIPS 2020: kept by L1 norm,
similarity by cosine, here of the effective rows with bias and BatchNormalization folded in; filters whose
best cosine is below a threshold are dropped.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.problem import TINY, Problem
from onnxdup.merging.selection.clusters import Aim, Clusters, heirs
from onnxdup.merging.selection.norm import largest

LEAST = 0.1
"""The smallest cosine of a match."""


def select(problem: Problem, aim: Aim) -> Clusters:
    """Kept filters by norm, an heir for each other one."""
    kept = np.sort(largest(np.abs(problem.filters).sum(1), problem, aim))
    unit = problem.rows / np.maximum(np.linalg.norm(problem.rows, axis=1, keepdims=True), TINY)
    cosine = unit @ unit[kept].T
    best = cosine.argmax(1)
    near = cosine[np.arange(len(unit)), best] >= LEAST
    target = np.where(near, kept[best], -1)
    target[kept] = kept
    return heirs(kept, target)
