"""Norm pruning: keep the filters of largest L1 norm (or L2), drop the rest.

Li, Kadav, Durdanovic, Samet, Graf, "Pruning Filters for Efficient ConvNets", ICLR 2017; the paper's
baseline, with the number of filters taken from the components at the same tau.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import components
from onnxdup.merging.selection.clusters import Aim, Clusters, survivors


def select(problem: Problem, aim: Aim) -> Clusters:
    """The filters of largest L1 norm."""
    return survivors(problem.group.size, largest(np.abs(problem.filters).sum(1), problem, aim))


def euclidean(problem: Problem, aim: Aim) -> Clusters:
    """The filters of largest L2 norm."""
    return survivors(problem.group.size, largest(np.linalg.norm(problem.filters, axis=1), problem, aim))


def largest(score: Array, problem: Problem, aim: Aim) -> Index:
    """As many channels as are asked for, or as the paper leaves at tau, of largest score."""
    order = np.argsort(-score, kind="stable")
    return np.asarray(order[: components.wanted(problem, aim)], np.int64)
