"""First and second moments of channels: analytic from the weights, or measured."""

from __future__ import annotations

from onnxdup.merging.moments.analytic import SinkMoments, analytic_moments, moments_of
from onnxdup.merging.moments.hermite import gram, hermite_coefficients

__all__ = ["SinkMoments", "analytic_moments", "gram", "hermite_coefficients", "moments_of"]
