"""Outgoing weights summed: the leader of a cluster stays as it is and takes over what is read of the others.

`compensate` sums them as they are (Srinivas and Babu, BMVC 2015); `scaled` in the ratio of the effective rows
(Kim et al., NeurIPS 2020), where the activation lets scale pass.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Array, Merge
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Clusters, several


def compensate(problem: Problem, clusters: Clusters) -> Merge:
    """The plain sum."""
    return _given(problem, clusters, np.ones(problem.group.size))


def scaled(problem: Problem, clusters: Clusters) -> Merge:
    """The sum of what is read, times ‖row_j‖ / ‖row_leader‖."""
    return _given(problem, clusters, problem.norms)


def _given(problem: Problem, clusters: Clusters, scale: Array) -> Merge:
    leaders = clusters.leaders(problem.importance)
    keep = np.sort(leaders)
    place = np.searchsorted(keep, leaders)
    labels = clusters.labels
    target = np.where(labels >= 0, place[np.maximum(labels, 0)], -1)
    ratio = np.where(target >= 0, scale / scale[keep[np.maximum(target, 0)]], 0.0)
    unmerge, constant = problem.unmerge(keep, target, ratio)
    n, name = len(labels), problem.group.name
    return Merge(name, n, keep, unmerge, constant, clusters=several(target, len(keep)))
