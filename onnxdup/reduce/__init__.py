"""The jobs above a single plan: the exact pass to its fixed point, then approximate merging."""

from __future__ import annotations

from onnxdup.reduce.merge import Reduction, merge, replay

__all__ = ["Reduction", "merge", "replay"]
