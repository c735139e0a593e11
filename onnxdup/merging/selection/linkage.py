"""Complete linkage on the effective rows: every pair of a cluster has similarity ≥ tau, so tau keeps its
meaning.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Index
from onnxdup.merging.problem import Problem
from onnxdup.similarity import complete_linkage, complete_linkage_to


def select(problem: Problem, tau: float, keep: float | None = None) -> Index:
    """Cluster of each channel: at tau, or `keep` · n clusters where a share is given."""
    if keep is not None:
        count = max(1, round(keep * problem.group.size))
        return np.asarray(complete_linkage_to(problem.rows, count, metric=problem.metric), np.int64)
    return np.asarray(complete_linkage(problem.rows, tau, metric=problem.metric), np.int64)
