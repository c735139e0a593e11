"""No compensation: channels without heir are cut off, those with one too."""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Merge
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Clusters


def compensate(problem: Problem, clusters: Clusters) -> Merge:
    """Keep the leader of each label as it is."""
    n = problem.group.size
    keep = np.sort(clusters.leaders(problem.importance))
    target = np.full(n, -1)
    target[keep] = np.arange(len(keep))
    unmerge, _ = problem.unmerge(keep, target, np.ones(n))
    return Merge(problem.group.name, n, keep, unmerge)
