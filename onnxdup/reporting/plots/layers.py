"""Which drawings a model and a layer have."""

from __future__ import annotations

from onnxdup.reporting.plots import charts, overview, pictures
from onnxdup.reporting.plots.png import Picture
from onnxdup.reporting.plots.svg import Chart
from onnxdup.reporting.portrait import LayerPortrait, Portrait


def charts_of_model(portrait: Portrait) -> tuple[Chart, ...]:
    """Where duplicates are, and 1 − eta against tau."""
    found = (overview.removable(portrait), overview.curves(portrait))
    return tuple(x for x in found if x is not None)


def charts_of_layer(layer: LayerPortrait) -> tuple[Chart, ...]:
    """Pair cosines, 1 − eta, norms, singular values: what is known of them."""
    tau = layer.weights.tau if layer.weights else None
    found = (
        charts.cosines(layer, tau),
        charts.shares(layer, tau),
        charts.norms(layer),
        charts.spectrum(layer),
    )
    return tuple(x for x in found if x is not None)


def pictures_of_layer(layer: LayerPortrait) -> tuple[Picture, ...]:
    """Similarity matrix, filters as images, clusters."""
    found = (pictures.matrix(layer), pictures.gallery(layer), *pictures.clusters(layer))
    return tuple(x for x in found if x is not None)
