"""What becomes of a channel group: `Merge` values, how they are chosen (selection) and made good
(compensation).
"""

from __future__ import annotations

from onnxdup.merging.exact import exact_merge
from onnxdup.merging.methods import METHODS, Method, approximate_merge, method_named
from onnxdup.merging.plan import Entry, Merge, MergePlan, Readers, clones_as_lists, clones_of
from onnxdup.merging.problem import Problem
from onnxdup.merging.sums import Left

__all__ = [
    "METHODS",
    "Entry",
    "Left",
    "Merge",
    "MergePlan",
    "Method",
    "Problem",
    "Readers",
    "approximate_merge",
    "clones_as_lists",
    "clones_of",
    "exact_merge",
    "method_named",
]
