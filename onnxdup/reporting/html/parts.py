"""What the template lays out: one model and its layers, as values and finished drawings."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from onnxdup.reporting.html import tables
from onnxdup.reporting.html.tables import Card, Grid
from onnxdup.reporting.html.words import Verdict, be, verdict
from onnxdup.reporting.plots import (
    Picture,
    charts_of_layer,
    charts_of_model,
    pictures_of_layer,
    to_inline_svg,
)
from onnxdup.reporting.portrait import LayerPortrait, Portrait
from onnxdup.reporting.schema import LayerReport, ModelReport, Totals
from onnxdup.reporting.search_view import of_shrink
from onnxdup.reporting.view import View, count, layer_name, size
from onnxdup.reporting.view_runs import of_merge


@dataclass(frozen=True)
class Figure:
    """A finished drawing with its words; `markup` is SVG, `source` a data URI."""

    title: str
    caption: str
    markup: str = ""
    source: str = ""
    alt: str = ""
    width: int = 0
    height: int = 0
    shown: int = 0
    name: str = ""
    signed: bool = False


@dataclass(frozen=True)
class LayerPart:
    """A layer in detail."""

    id: str
    name: str
    facts: str
    open: bool
    remarks: tuple[str, ...]
    charts: tuple[Figure, ...]
    pictures: tuple[Figure, ...]
    clusters: tuple[Figure, ...]
    clusters_title: str


@dataclass(frozen=True)
class ModelPart:
    """One model."""

    id: str
    title: str
    identity: tuple[tuple[str, str], ...]
    verdict: Verdict
    cards: tuple[Card, ...]
    charts: tuple[Figure, ...]
    taus: Grid
    tau: float
    table: Grid
    layers: tuple[LayerPart, ...]
    obstacles: Grid
    groups: Grid
    frozen: str
    merged: View
    changed: bool
    notes: tuple[str, ...]


def model_part(portrait: Portrait, id: str) -> ModelPart:
    """Everything the page says about one model; ids on the page start with `id`."""
    report = portrait.report
    anchors = {(x.report.node, x.report.tensor): f"{id}-layer{k}" for k, x in enumerate(portrait.layers, 1)}
    charts = [
        Figure(c.title, c.caption, to_inline_svg(c, f"{id}-{c.name}"), name=c.name)
        for c in charts_of_model(portrait)
    ]
    layers = [
        _layer(x, anchors[x.report.node, x.report.tensor], k == 0) for k, x in enumerate(portrait.layers)
    ]
    return ModelPart(
        id=id,
        title=_title(report),
        identity=_identity(report),
        verdict=verdict(portrait),
        cards=tables.cards(portrait),
        charts=tuple(charts),
        taus=tables.taus(report.totals.taus),
        tau=portrait.tau,
        table=tables.table(report, portrait.tau, anchors),
        layers=tuple(layers),
        obstacles=tables.obstacles(report),
        groups=tables.groups(report.groups),
        frozen=_frozen(report.totals),
        merged=_done(portrait),
        changed=portrait.merged is not None,
        notes=(*report.notes, *portrait.notes),
    )


def _done(portrait: Portrait) -> View:
    if portrait.searched is not None:
        return of_shrink(portrait.searched)[1:]
    return of_merge(portrait.merged)[1:] if portrait.merged else ()


def _frozen(total: Totals) -> str:
    return f"{count(total.frozen_groups)} of {count(total.groups)} channel groups {be(total.frozen_groups)}"


def _title(report: ModelReport) -> str:
    path = (report.model.path or "a model in memory").replace("\\", "/")
    return path.rpartition("/")[2]


def _identity(report: ModelReport) -> tuple[tuple[str, str], ...]:
    model = report.model
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.opsets.items())
    facts = (
        ("file", model.path or "in memory"), ("size", size(model.bytes)), ("producer", model.producer),
        ("opset", opsets), ("sha256", model.sha256),
    )  # fmt: skip
    return tuple((name, text) for name, text in facts if text)


def _layer(layer: LayerPortrait, id: str, first: bool) -> LayerPart:
    report, weights = layer.report, layer.weights
    charts = tuple(
        Figure(c.title, c.caption, to_inline_svg(c, f"{id}-{c.name}"), name=c.name)
        for c in charts_of_layer(layer)
    )
    pictures = [_picture(p) for p in pictures_of_layer(layer)]
    clusters = tuple(p for p in pictures if p.name.startswith("cluster"))
    total = len(weights.cluster_sizes) if weights else 0
    title = ""
    if weights and weights.closest:
        title = f"No cluster down to tau {_lowest(report):g}; filters as {weights.closest.tiles.words}"
    elif weights and clusters:
        which = (
            f"the {len(clusters)} largest of {count(total)} clusters" if total > len(clusters) else "clusters"
        )
        title = f"{which[0].upper()}{which[1:]} at tau {weights.tau:g}, as {weights.clusters[0].tiles.words}"
    return LayerPart(
        id=id,
        name=layer_name(report.node, report.tensor),
        facts=_facts(layer),
        open=first,
        remarks=_remarks(layer),
        charts=charts,
        pictures=tuple(p for p in pictures if not p.name.startswith("cluster")),
        clusters=clusters,
        clusters_title=title,
    )


def _lowest(report: LayerReport) -> float:
    return min((t.tau for t in report.taus), default=1.0)


def _facts(layer: LayerPortrait) -> str:
    x = layer.report
    now = f" → {count(layer.after.filters)}" if layer.after else ""
    shape = " × ".join(map(str, x.shape))
    state = "frozen" if x.frozen else ""
    return ", ".join(f for f in (x.op, f"{count(x.filters)}{now} filters", shape, state) if f)


def _remarks(layer: LayerPortrait) -> tuple[str, ...]:
    x = layer.report
    found = [f"Node {x.node}, weight {x.tensor}."]
    if x.frozen:
        where = f" (decided at node {x.frozen.node})" if x.frozen.node else ""
        found.append(f"Frozen: {x.frozen.reason}{where}. Its filters stay as they are.")
    elif x.symmetry:
        found.append(f"Exact merges of its channels may use: {x.symmetry}.")
    if x.dead or x.constant:
        found.append(f"{count(x.dead)} filters are dead, {count(x.constant)} constant.")
    if x.note:
        found.append(f"{x.note}.")
    found += [f"Not drawn: {reason}." for reason in (layer.weights.skipped if layer.weights else ())]
    return tuple(found)


def _picture(p: Picture) -> Figure:
    source = f"data:image/png;base64,{base64.b64encode(p.png()).decode()}"
    height, width = p.pixels.shape[:2]
    return Figure(p.title, p.caption, "", source, p.alt, width, height, p.shown, p.name, p.signed)
