"""The jobs above a single plan: the exact pass to its fixed point, then approximate merging."""

from __future__ import annotations

from onnxdup.reduce.merge import merge, replay
from onnxdup.reduce.reduction import Reduction, fixed_inputs

__all__ = ["Reduction", "fixed_inputs", "merge", "replay"]
