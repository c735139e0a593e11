"""What becomes of a channel group: `Merge` values, how they are chosen (selection) and made good
(compensation).
"""

from __future__ import annotations

from onnxdup.merging.compensation.mean import mixing
from onnxdup.merging.exact import exact_merge
from onnxdup.merging.methods import (
    COMPENSATIONS,
    METHODS,
    Method,
    approximate_merge,
    cuttable,
    merge_to,
    method_named,
    order,
    problem_of,
)
from onnxdup.merging.moments import Analytic, Measured, Moments, Tally, Trial, mixed
from onnxdup.merging.moments.sketch import stored_moments
from onnxdup.merging.plan import Entry, Merge, MergePlan, Readers, clones_as_lists, clones_of
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.clusters import Aim
from onnxdup.merging.selection.obs import Removal
from onnxdup.merging.sums import Left

__all__ = [
    "COMPENSATIONS",
    "METHODS",
    "Aim",
    "Analytic",
    "Entry",
    "Left",
    "Measured",
    "Merge",
    "MergePlan",
    "Method",
    "Moments",
    "Problem",
    "Readers",
    "Removal",
    "Tally",
    "Trial",
    "approximate_merge",
    "clones_as_lists",
    "clones_of",
    "cuttable",
    "exact_merge",
    "merge_to",
    "method_named",
    "mixed",
    "mixing",
    "order",
    "problem_of",
    "stored_moments",
]
