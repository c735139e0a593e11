"""First and second moments of channels: analytic from the weights, or measured."""

from __future__ import annotations

from onnxdup.merging.moments.analytic import Analytic
from onnxdup.merging.moments.hermite import gram, hermite_coefficients
from onnxdup.merging.moments.lookup import Moments, fits_of, folded_fits, gaussian_of, moments_of
from onnxdup.merging.moments.measured import Measured, Tally, Trial, mixed
from onnxdup.merging.moments.sinks import Fit, SinkMoments

__all__ = [
    "Analytic",
    "Fit",
    "Measured",
    "Moments",
    "SinkMoments",
    "Tally",
    "Trial",
    "fits_of",
    "folded_fits",
    "gaussian_of",
    "gram",
    "hermite_coefficients",
    "mixed",
    "moments_of",
]
