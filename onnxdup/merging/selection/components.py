"""The paper's groups: connected components of the similarity graph of the filters at tau.

RoyChowdhury, Sharma, Learned-Miller (2018), section 3: s_ij = cos(w_i, w_j), biases excluded, an edge where
s_ij ≥ tau. Components chain: the worst pair inside one can have any cosine.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Aim, Clusters, reachable
from onnxdup.similarity import similarity_components, single_linkage_to


def select(problem: Problem, aim: Aim) -> Clusters:
    """Component of each channel; for a count, the components at the threshold that gives so many."""
    if aim.count is not None:
        return Clusters(
            np.asarray(single_linkage_to(problem.filters, reachable(problem.filters, aim.count)), np.int64)
        )
    return Clusters(np.asarray(similarity_components(problem.filters, [aim.tau])[0], np.int64))


def wanted(problem: Problem, aim: Aim) -> int:
    """The count that is asked for, else that of the components at tau."""
    return aim.count or select(problem, aim).count
