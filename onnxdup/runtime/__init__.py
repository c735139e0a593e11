"""Running models: onnxruntime sessions, where their nodes run, and the shapes a run shows.

`onnxruntime` is imported in one module only (`onnxdup.runtime.session`), and only when a session is opened.
"""

from __future__ import annotations

from onnxdup.runtime.iotypes import IoSpec
from onnxdup.runtime.placement import HEAVY, AssignedNode, Placement
from onnxdup.runtime.session import Session, available_providers, runtime_packages, runtime_version
from onnxdup.runtime.shapes import observed_shapes

__all__ = [
    "HEAVY",
    "AssignedNode",
    "IoSpec",
    "Placement",
    "Session",
    "available_providers",
    "observed_shapes",
    "runtime_packages",
    "runtime_version",
]
