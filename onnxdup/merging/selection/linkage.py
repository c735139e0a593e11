"""Complete linkage on the effective rows: every pair of a cluster has similarity ≥ tau, so tau keeps its
meaning.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Index
from onnxdup.merging.problem import Problem
from onnxdup.similarity import complete_linkage


def select(problem: Problem, tau: float, keep: float | None = None) -> Index:
    """Cluster of each channel."""
    return np.asarray(complete_linkage(problem.rows, tau, metric=problem.metric), np.int64)
