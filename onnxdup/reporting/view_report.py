"""The view of `onnxdup report`: per model one table, rows = layers, one column per tau."""

from __future__ import annotations

from onnxdup.reporting.schema import AtTau, Failure, LayerReport, ModelReport, Report, Totals
from onnxdup.reporting.view import (
    Block,
    Column,
    Line,
    Table,
    View,
    count,
    identity,
    layer_name,
    number,
    percent,
    why_not_more,
)

LEGEND = (
    "Below each tau: the share of duplicates (1 - eta of the paper) and, after the minus, how many filters "
    "merge would remove. (f): frozen."
)


def of_report(report: Report) -> View:
    """All models, then the files that could not be read."""
    blocks: list[Block] = []
    for model in report.models:
        blocks += _of_model(model)
    return (*blocks, *(_of_failure(f) for f in report.failures))


def _of_model(model: ModelReport) -> list[Block]:
    if not model.layers:
        return [identity(model.model), Line("No layer with constant weights: nothing to merge.")]
    blocks: list[Block] = [identity(model.model), _table(model)]
    if any(layer.spectrum for layer in model.layers):
        blocks.append(_spectra(model.layers))
    blocks += [Line(LEGEND, "quiet"), _summary(model.totals), why_not_more(model.obstacles)]
    blocks += [Line(f"{x.node}: {x.note}", "quiet") for x in model.layers if x.note]
    return [*blocks, *(Line(note, "quiet") for note in model.notes)]


def _table(model: ModelReport) -> Table:
    taus = [Column(f"{t.tau:g}") for t in model.totals.taus]
    columns = (
        Column("layer", right=False),
        Column("op", right=False, optional=True),
        Column("filters"),
        Column("fan-in", optional=True),
        Column("dead", optional=True),
        *taus,
    )
    total = model.totals
    foot = ("total", "", count(total.filters), "", count(total.dead), *map(_cell, total.taus))
    return Table(columns, tuple(_row(layer) for layer in model.layers), (foot,))


def _row(layer: LayerReport) -> tuple[str, ...]:
    name = layer_name(layer.node, layer.tensor)
    name = f"{name} (f)" if layer.frozen else name
    facts = (layer.op, count(layer.filters), count(layer.fan_in), count(layer.dead))
    return (name, *facts, *map(_cell, layer.taus))


def _cell(at: AtTau) -> str:
    share = percent(at.duplicate_share).replace(" ", "")
    return f"{share} -{count(at.removable)}" if at.removable else share


def _spectra(layers: tuple[LayerReport, ...]) -> Table:
    columns = (
        Column("layer", right=False),
        Column("largest singular value"),
        Column("99 % energy rank"),
        Column("trace complexity"),
    )
    rows = tuple(
        (
            layer_name(x.node, x.tensor),
            number(x.spectrum.singular_values[0]),
            count(x.spectrum.rank_99),
            number(x.spectrum.trace_complexity),
        )
        for x in layers
        if x.spectrum and x.spectrum.singular_values
    )
    return Table(columns, rows)


def _summary(totals: Totals) -> Line:
    return Line(
        f"{count(totals.filters)} filters in {count(totals.layers)} layers, {count(totals.dead)} dead, "
        f"{count(totals.constant)} constant, {count(totals.parameters)} parameters; "
        f"{totals.frozen_groups} of {totals.groups} channel groups frozen."
    )


def _of_failure(failure: Failure) -> Line:
    return Line(f"not reported: {failure.message}", "bad")
