"""Complete linkage on the effective rows: every pair of a cluster has similarity ≥ tau, so tau keeps its
meaning.

Where a group has several blocks, or carriers behind the non-linearity, every pair has it in each of these
parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Aim, Clusters, reachable
from onnxdup.similarity import Metric, complete_linkage, complete_linkage_to


def select(problem: Problem, aim: Aim) -> Clusters:
    """Cluster of each channel: at tau, or so many clusters of the stacked rows."""
    if aim.count is not None:
        labels = complete_linkage_to(problem.rows, reachable(problem.rows, aim.count), metric=problem.metric)
        return Clusters(np.asarray(labels, np.int64))
    return Clusters(cells(problem.parts, aim.tau, problem.metric))


def wanted(problem: Problem, aim: Aim) -> int:
    """The count that is asked for, else that of the clusters at tau."""
    return aim.count or select(problem, aim).count


def cells(parts: Sequence[Array], tau: float, metric: Metric) -> Index:
    """Clusters (n,) in which every pair is similar in every part: each part is linked inside the cells
    before it.
    """
    labels = np.asarray(complete_linkage(parts[0], tau, metric=metric), np.int64)
    for rows in parts[1:]:
        if labels.max(initial=-1) + 1 == len(labels):
            break
        labels = np.asarray(complete_linkage(rows, tau, metric=metric, blocks=labels), np.int64)
    return labels
