"""The view of `onnxdup compare`: one row per pair of layers, and what could not be compared."""

from __future__ import annotations

import math
from itertools import groupby

from onnxdup.reporting.comparison.schema import ComparisonReport, LayerPair, Matching, Unpaired
from onnxdup.reporting.schema import ModelIdentity
from onnxdup.reporting.view import (
    Block,
    Column,
    Line,
    Table,
    View,
    count,
    identity,
    inputs,
    layer_name,
    percent,
)

_LISTED = 4


def of_comparison(report: ComparisonReport) -> View:
    """Both models, the table, what its columns mean, and the layers left out."""
    blocks: list[Block] = [_labelled("A", report.a), _labelled("B", report.b)]
    if report.pairs:
        blocks += [_table(report), Line(_legend(report), "quiet")]
    else:
        blocks.append(Line("No layer of A could be paired with one of B."))
    if report.inputs:
        blocks.append(Line(f"Run on {inputs(report.inputs)}, with {report.provider}.", "quiet"))
    blocks += [Line(f"{name_of(p)}: {p.note}", "quiet") for p in report.pairs if p.note]
    blocks += _stored(report.pairs)
    blocks += [Line(_left_out(report, network), "quiet") for network in ("a", "b")]
    return tuple(x for x in (*blocks, *(Line(n, "quiet") for n in report.notes)) if x != Line("", "quiet"))


def name_of(pair: LayerPair) -> str:
    """The layer's name, with that of its partner where it is called otherwise."""
    a, b = layer_name(pair.a.node, pair.a.tensor), layer_name(pair.b.node, pair.b.tensor)
    return a if a == b else f"{a} = {b}"


def _labelled(label: str, model: ModelIdentity) -> Line:
    line = identity(model)
    return Line(f"{label}: {line.text}", line.tone)


def _table(report: ComparisonReport) -> Table:
    columns = (
        Column("layer", right=False),
        Column("filters"),
        Column("SV-CCA"),
        Column("chance"),
        Column("matched"),
        Column("median", optional=True),
        Column("chance"),
        Column(f">= {report.tau:g}"),
        Column("opposite", optional=True),
    )
    return Table(columns, tuple(map(_row, report.pairs)))


def _row(pair: LayerPair) -> tuple[str, ...]:
    a, b = pair.a.filters, pair.b.filters
    filters = count(a) if a == b else f"{count(a)} / {count(b)}"
    correlation = (
        (_two(pair.correlation.mean), _two(pair.correlation.chance)) if pair.correlation else ("-", "-")
    )
    return (name_of(pair), filters, *correlation, *_matched(pair.matching))


def _matched(found: Matching | None) -> tuple[str, ...]:
    if found is None:
        return ("-",) * 5
    return (
        _two(found.mean),
        _two(found.median),
        _two(found.chance),
        percent(found.above).replace(" ", ""),
        percent(found.opposite).replace(" ", ""),
    )


def _two(value: float) -> str:
    """Three decimals that say 1.000 only where it is 1."""
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if value > 1 - 1e-6 or value < 0.9995 else "0.999"


def _legend(report: ComparisonReport) -> str:
    what = "their inputs" if report.basis == "weights" else "the points of the data"
    return (
        f"SV-CCA: mean correlation of the directions that hold {100 * report.energy:g} % of a layer's "
        f"energy, filters as variables, {what} as samples. Matched: mean |cosine| of filters paired one to "
        "one up to order, sign and scale. Chance: the same for random directions."
    )


def _stored(pairs: tuple[LayerPair, ...]) -> list[Block]:
    names = [name_of(p) for p in pairs if p.inputs == "as stored" and p.columns]
    if not names:
        return []
    return [
        Line(
            f"Inputs in the order of the file, their channels could not be followed: {_some(names)}.", "quiet"
        )
    ]


def _left_out(report: ComparisonReport, network: str) -> str:
    own = sorted((x for x in report.unpaired if x.network == network), key=lambda x: x.reason)
    parts = [f"{_some([_name(x) for x in found])} ({reason})" for reason, found in _by_reason(own)]
    return f"Not paired in {network.upper()}: {'; '.join(parts)}." if parts else ""


def _by_reason(found: list[Unpaired]) -> list[tuple[str, list[Unpaired]]]:
    return [(reason, list(some)) for reason, some in groupby(found, key=lambda x: x.reason)]


def _name(x: Unpaired) -> str:
    return layer_name(x.node, x.tensor)


def _some(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
