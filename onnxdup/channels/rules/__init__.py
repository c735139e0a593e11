"""THE operator table: what each ONNX operator does to channels, and how sizes that it repeats follow a merge.

Adding an operator: one `@rule` of about ten lines (or one row of a table), `@resize` under it if the node
repeats a channel count, one model in ONNX text in the tests. An operator without a rule freezes its
channels.
"""

from __future__ import annotations

from onnxdup.channels.rules import (
    elementwise,
    linear,
    movement,
    normalise,
    pointwise,
    quantised,
    recurrent,
    windows,
)
from onnxdup.channels.rules.table import RESIZE, RULES, Operator, Resizer, key, operator_table

__all__ = ["RESIZE", "RULES", "Operator", "Resizer", "key", "operator_table"]

_MODULES = (elementwise, linear, movement, normalise, pointwise, quantised, recurrent, windows)
