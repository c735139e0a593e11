"""No compensation: channels without heir are cut off."""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Index, Merge
from onnxdup.merging.problem import Problem


def compensate(problem: Problem, labels: Index) -> Merge:
    """Keep the first channel of each label."""
    kept = labels >= 0
    keep = np.flatnonzero(kept)
    target = np.where(kept, np.searchsorted(keep, np.arange(len(labels))), -1)
    unmerge, _ = problem.unmerge(keep, target, np.ones(len(labels)))
    return Merge(problem.group.name, len(labels), keep, unmerge)
