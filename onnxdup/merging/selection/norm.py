"""Norm pruning: keep the filters of largest L1 norm, drop the rest.

Li, Kadav, Durdanovic, Samet, Graf, "Pruning Filters for Efficient ConvNets", ICLR 2017; the paper's
baseline, with the number of filters taken from the components at the same tau.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import components


def select(problem: Problem, tau: float, keep: float | None = None) -> Index:
    """A label of its own for each kept channel, -1 for the others."""
    n = problem.group.size
    count = int(components.select(problem, tau).max()) + 1 if keep is None else max(1, round(keep * n))
    largest = np.argsort(-np.abs(problem.filters).sum(1), kind="stable")[:count]
    labels = np.full(n, -1)
    labels[np.sort(largest)] = np.arange(count)
    return labels
