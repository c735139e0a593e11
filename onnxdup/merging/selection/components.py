"""The paper's groups: connected components of the similarity graph of the filters at tau.

RoyChowdhury, Sharma, Learned-Miller (2018), section 3: s_ij = cos(w_i, w_j), biases excluded, an edge where
s_ij ≥ tau. Components chain: the worst pair inside one can have any cosine.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Index
from onnxdup.merging.problem import Problem
from onnxdup.similarity import similarity_components


def select(problem: Problem, tau: float, keep: float | None = None) -> Index:
    """Component of each channel."""
    return np.asarray(similarity_components(problem.filters, [tau])[0], np.int64)
