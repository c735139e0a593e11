"""`portray`: a report and its model become a `Portrait`, one layer in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxdup.channels import Layer, Trace, trace
from onnxdup.graph import Document
from onnxdup.reporting import schema
from onnxdup.reporting.build import Advance
from onnxdup.reporting.portrait.values import LayerPortrait, Portrait, Weights
from onnxdup.reporting.portrait.views import Shape, image_view
from onnxdup.reporting.portrait.weights import weights_of
from onnxdup.reporting.search_schema import ShrinkReport

PICTURE_TAU = 0.9
"""The paper's threshold for its tables and pictures."""
DETAILS = 16
"""Layers drawn in detail unless asked for otherwise."""
Shapes = Mapping[str, tuple[int, ...]]


def portray(
    report: schema.ModelReport,
    document: Document | None,
    *,
    details: int = DETAILS,
    tau: float | None = None,
    input_shapes: Shapes | None = None,
    merged: schema.MergeReport | None = None,
    after: tuple[schema.ModelReport, Document] | None = None,
    searched: ShrinkReport | None = None,
    progress: Advance | None = None,
) -> Portrait:
    """Everything that a page shows of one model.

    Without `document` (an archived report) what only the weights tell is left out. `details` is how many
    layers are drawn: those with most to remove. Verdict and pictures are at `tau` (default: `picture_tau`).
    `after` is the merged model with its report, `searched` how it was found by `shrink`.
    """
    tau = picture_tau(report) if tau is None else tau
    chosen = chosen_layers(report.layers, tau, details)
    say = progress or (lambda done, total, what: None)
    left = _by_node(after[0].layers) if after else {}
    original = _Weights(document, input_shapes)
    reduced = _Weights(after[1] if after else None, input_shapes)
    drawn = []
    for done, layer in enumerate(chosen):
        say(done, len(chosen), layer.node)
        same = left.get((layer.node, layer.op))
        changed = same is not None and same.filters != layer.filters
        drawn.append(
            LayerPortrait(
                layer,
                original.of(layer, tau),
                same if changed else None,
                reduced.of(same, tau, pictures=False) if changed and same else None,
            )
        )
    say(len(chosen), len(chosen), "")
    return Portrait(
        report,
        tau,
        tuple(drawn),
        merged,
        after[0] if after else None,
        _notes(report, document, chosen),
        searched,
    )


def picture_tau(report: schema.ModelReport) -> float:
    """.9 as in the paper where it was asked for, else the threshold next to it."""
    taus = [t.tau for t in report.totals.taus]
    return min(taus, key=lambda t: (abs(t - PICTURE_TAU), t)) if taus else PICTURE_TAU


def chosen_layers(
    layers: Sequence[schema.LayerReport], tau: float, most: int
) -> tuple[schema.LayerReport, ...]:
    """The layers that are drawn, in graph order: all if few, else the first and those with most duplicates.

    Layers that can be merged go before frozen ones, many removable or duplicate filters before few, wide
    layers before narrow ones.
    """
    if len(layers) <= most:
        return tuple(layers)
    ranked = sorted(range(len(layers)), key=lambda k: (k > 0, *_rank(layers[k], tau), k))
    return tuple(layers[k] for k in sorted(ranked[: max(most, 0)]))


def _rank(layer: schema.LayerReport, tau: float) -> tuple[float, ...]:
    at = [t for t in layer.taus if t.tau >= tau]
    removable = max((t.removable for t in layer.taus), default=0)
    duplicates = max((t.filters - t.components for t in at), default=0)
    return (-max((t.removable for t in at), default=0), -removable, -duplicates, -layer.filters)


def _by_node(layers: Sequence[schema.LayerReport]) -> dict[tuple[str, str], schema.LayerReport]:
    """Layers that one node has one of; nodes keep their names in a merge."""
    names = [(x.node, x.op) for x in layers]
    return {name: x for name, x in zip(names, layers, strict=True) if names.count(name) == 1}


def _notes(
    report: schema.ModelReport, document: Document | None, chosen: Sequence[schema.LayerReport]
) -> tuple[str, ...]:
    notes = []
    if document is None and report.layers:
        notes.append(
            "The model file was not at hand: pictures that need its weights (clusters, matrix, norms) are "
            "left out."
        )
    if len(chosen) < len(report.layers):
        notes.append(
            f"{len(chosen)} of {len(report.layers)} layers are drawn in detail: the first, and those with "
            "most to merge; --details N draws more."
        )
    return tuple(notes)


class _Weights:
    """The layers of a document by name, traced once, when the first is asked for."""

    def __init__(self, document: Document | None, input_shapes: Shapes | None) -> None:
        self._document, self._input_shapes = document, input_shapes
        self._layers: dict[tuple[str, str], Layer] = {}
        self._shapes: Mapping[str, Shape] = {}

    def of(self, report: schema.LayerReport | None, tau: float, *, pictures: bool = True) -> Weights | None:
        """What the weights of a reported layer tell; None without the model."""
        if report is None or self._document is None:
            return None
        if not self._layers:
            traced: Trace = trace(self._document, input_shapes=self._input_shapes)
            self._layers = {(x.node, x.tensor): x for x in traced.layers}
            self._shapes = self._document.shapes(self._input_shapes)
        layer = self._layers.get((report.node, report.tensor))
        if layer is None:
            return None
        view = image_view(self._document, layer.node, self._shapes)
        return weights_of(layer, report, tau, view, pictures=pictures)
