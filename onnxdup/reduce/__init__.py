"""The jobs above a single plan: the exact pass to its fixed point, then approximate merging."""

from __future__ import annotations

from onnxdup.reduce.merge import Reduction, fixed_inputs, merge, replay

__all__ = ["Reduction", "fixed_inputs", "merge", "replay"]
