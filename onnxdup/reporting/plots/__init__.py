"""Pictures of a `Portrait`: charts by matplotlib, matrices and filters pixel by pixel."""

from __future__ import annotations

from onnxdup.reporting.plots.files import write_files
from onnxdup.reporting.plots.layers import charts_of_layer, charts_of_model, pictures_of_layer
from onnxdup.reporting.plots.png import Picture
from onnxdup.reporting.plots.svg import Chart, to_inline_svg, to_svg

__all__ = [
    "Chart",
    "Picture",
    "charts_of_layer",
    "charts_of_model",
    "pictures_of_layer",
    "to_inline_svg",
    "to_svg",
    "write_files",
]
