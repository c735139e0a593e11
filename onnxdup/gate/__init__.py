"""The gate: budgets × facts → verdict, pure; an archived report is as good as the model.

`Budgets` say what a model is held to, `Facts` what was measured on it, `judge` compares the two. Each budget
passes, fails, or is inconclusive: where a statement about accuracy needs more data than there are.
"""

from __future__ import annotations

from onnxdup.gate.archive import facts_of, read_archive
from onnxdup.gate.budgets import Budgets, Override, budgets_for
from onnxdup.gate.judge import Verdict, judge
from onnxdup.gate.schema import CheckReport, Facts, ModelCheck, Reference

__all__ = [
    "Budgets",
    "CheckReport",
    "Facts",
    "ModelCheck",
    "Override",
    "Reference",
    "Verdict",
    "budgets_for",
    "facts_of",
    "judge",
    "read_archive",
]
