"""Surgery: apply a round of merges to a document. It knows no method."""

from __future__ import annotations

from collections.abc import Iterable

from onnxdup.channels import Trace
from onnxdup.graph import Document
from onnxdup.merging import Merge
from onnxdup.surgery.clones import separated
from onnxdup.surgery.contract import AxisOp, contract
from onnxdup.surgery.operation import ShapesDisagree, Surgery

__all__ = ["AxisOp", "ShapesDisagree", "Surgery", "apply", "contract", "separated"]


def apply(trace: Trace, merges: Iterable[Merge]) -> Document:
    """The document of `trace` after one round of merges; the original is untouched.

    Raises ShapesDisagree where sizes in the graph cannot follow.
    """
    return Surgery(trace, merges).apply()[0]
