"""A model as a page sees it: a report, and of its most telling layers what the weights show."""

from __future__ import annotations

from onnxdup.reporting.portrait.build import DETAILS, chosen_layers, picture_tau, portray
from onnxdup.reporting.portrait.values import (
    Cluster,
    Curve,
    Histogram,
    LayerPortrait,
    Matrix,
    Portrait,
    Tiles,
    Weights,
)

__all__ = [
    "DETAILS",
    "Cluster",
    "Curve",
    "Histogram",
    "LayerPortrait",
    "Matrix",
    "Portrait",
    "Tiles",
    "Weights",
    "chosen_layers",
    "picture_tau",
    "portray",
]
