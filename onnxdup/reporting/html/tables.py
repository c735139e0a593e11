"""Key figures and tables of a page, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxdup.reporting.html.words import at, fewer
from onnxdup.reporting.portrait import Portrait
from onnxdup.reporting.schema import AtTau, GroupReport, LayerReport, ModelReport
from onnxdup.reporting.view import count, layer_name, number, percent, size

Anchors = Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Card:
    """A key figure."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Cell:
    """A table cell: text, the number it is sorted by, and a bar (0 … 1) where it is a share."""

    text: str
    key: float | str | None = None
    bar: float | None = None
    link: str = ""


@dataclass(frozen=True)
class Head:
    """A column head; `right` for numbers, `long` for sentences."""

    text: str
    right: bool = True
    long: bool = False


@dataclass(frozen=True)
class Span:
    """A head over `columns` columns, empty over some."""

    text: str
    columns: int


@dataclass(frozen=True)
class Grid:
    """A sortable table."""

    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()
    spans: tuple[Span, ...] = ()


def cards(portrait: Portrait) -> tuple[Card, ...]:
    """Key figures: before a merge what could go, after it what is left."""
    total, merged = portrait.report.totals, portrait.merged
    exact, near = at(total, 1.0), at(total, portrait.tau)
    cards = [Card("filters", count(total.filters), f"in {count(total.layers)} layers")]
    if merged is not None:
        cards += [
            Card("filters left", count(merged.filters.after), fewer(merged.filters)),
            Card("parameters left", count(merged.parameters.after), fewer(merged.parameters)),
        ]
        if merged.macs:
            cards.append(Card("MACs left", count(merged.macs.after), fewer(merged.macs)))
        return tuple(cards)
    if exact is not None:
        share = percent(exact.removable / max(exact.filters, 1))
        cards.append(Card("exactly redundant", count(exact.removable), f"{share} of the filters, at tau 1"))
    if near is not None and near.tau < 1:
        share = percent(near.removable / max(near.filters, 1))
        cards.append(
            Card(f"merge removes at tau {near.tau:g}", count(near.removable), f"{share} of the filters")
        )
        cards.append(
            Card(
                f"1 − eta at tau {near.tau:g}",
                percent(near.duplicate_share),
                f"{count(near.components)} #CC of {count(near.filters)}",
            )
        )
    idle = f"and {count(total.constant)} constant" if total.constant else "all weights zero"
    cards.append(Card("dead filters", count(total.dead), idle))
    cards.append(Card("frozen groups", count(total.frozen_groups), f"of {count(total.groups)}"))
    cards.append(Card("parameters", count(total.parameters), size(portrait.report.model.bytes)))
    return tuple(cards)


def models(portraits: Sequence[Portrait], ids: Sequence[str], titles: Sequence[str]) -> Grid:
    """One row per model of a page, linked to its part."""
    names = (
        "model",
        "layers",
        "filters",
        "exactly redundant",
        "merge removes",
        "1 − eta",
        "groups",
        "frozen",
    )
    heads = tuple(Head(name, right=name != "model") for name in names)
    rows = zip(portraits, ids, titles, strict=True)
    return Grid(heads, tuple(_model(*row) for row in rows))


def _model(portrait: Portrait, id: str, title: str) -> tuple[Cell, ...]:
    total = portrait.report.totals
    exact, near = at(total, 1.0), at(total, portrait.tau)
    return (
        Cell(title, title.lower(), link=id),
        Cell(count(total.layers), total.layers),
        Cell(count(total.filters), total.filters),
        Cell(count(exact.removable), exact.removable) if exact else Cell("-", -1),
        _share(near.removable, near.filters) if near else Cell("-", -1),
        Cell(percent(near.duplicate_share), near.duplicate_share, near.duplicate_share)
        if near
        else Cell("-"),
        Cell(count(total.groups), total.groups),
        Cell(count(total.frozen_groups), total.frozen_groups),
    )


def _share(part: int, whole: int) -> Cell:
    share = part / max(whole, 1)
    return Cell(f"{count(part)} ({percent(share)})" if part else "0", part, share)


def taus(taus: Sequence[AtTau]) -> Grid:
    """One row per threshold."""
    names = ("tau", "#CC", "1 − eta", "clusters", "merge removes", "filters left")
    return Grid(tuple(map(Head, names)), tuple(_at(t) for t in taus))


def _at(t: AtTau) -> tuple[Cell, ...]:
    return (
        Cell(f"{t.tau:g}", t.tau),
        Cell(count(t.components), t.components),
        Cell(percent(t.duplicate_share), t.duplicate_share, t.duplicate_share),
        Cell(count(t.clusters), t.clusters),
        _share(t.removable, t.filters),
        Cell(count(t.filters - t.removable), t.filters - t.removable),
    )


def table(report: ModelReport, tau: float, anchors: Anchors) -> Grid:
    """One row per layer, linked where it is drawn."""
    taus = tuple(Head(f"{t.tau:g}") for t in report.totals.taus)
    heads = (
        *(Head("#"), Head("layer", right=False), Head("filters"), Head(f"merge removes, tau {tau:g}")),
        *taus,
        *(Head("state", right=False), Head("op", right=False), Head("fan-in"), Head("dead")),
        *(Head("kurtosis"), Head("nearest cosine"), Head("reason, or what may be merged", False, long=True)),
    )
    spans = (Span("", 4), Span("1 − eta at tau", len(taus)), Span("", 7)) if taus else ()
    rows = tuple(_row(k, x, tau, anchors) for k, x in enumerate(report.layers, 1))
    total, found = report.totals, at(report.totals, tau)
    foot = (
        *(
            Cell(""),
            Cell("all layers"),
            Cell(count(total.filters)),
            Cell(count(found.removable) if found else ""),
        ),
        *(Cell(percent(t.duplicate_share)) for t in total.taus),
        *(Cell(""), Cell(""), Cell(""), Cell(count(total.dead)), Cell(""), Cell(""), Cell("")),
    )
    return Grid(heads, rows, foot, spans)


def _row(place: int, x: LayerReport, tau: float, anchors: Anchors) -> tuple[Cell, ...]:
    kurtosis = x.cosines.kurtosis if x.cosines else math.nan
    nearest = x.cosines.nearest_median if x.cosines else math.nan
    gone = next((t.removable for t in x.taus if t.tau == tau), 0)
    name = layer_name(x.node, x.tensor)
    return (
        Cell(str(place), place),
        Cell(name, name.lower(), link=anchors.get((x.node, x.tensor), "")),
        Cell(count(x.filters), x.filters),
        Cell(count(gone), gone, gone / max(x.filters, 1)),
        *(Cell(percent(t.duplicate_share), t.duplicate_share, t.duplicate_share) for t in x.taus),
        Cell("frozen" if x.frozen else "free"),
        Cell(x.op, x.op),
        Cell(count(x.fan_in), x.fan_in),
        Cell(count(x.dead), x.dead),
        Cell(number(kurtosis), _key(kurtosis)),
        Cell("-" if math.isnan(nearest) else f"{nearest:.2f}", _key(nearest)),
        Cell(x.frozen.reason if x.frozen else x.symmetry),
    )


def _key(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def obstacles(report: ModelReport) -> Grid:
    """Why groups are frozen, most filters first."""
    heads = (
        Head("reason", right=False),
        Head("groups"),
        Head("filters"),
        Head("for example", right=False, long=True),
    )
    rows = tuple(
        (Cell(o.reason), Cell(count(o.groups), o.groups), Cell(count(o.filters), o.filters), Cell(o.node))
        for o in report.obstacles
    )
    return Grid(heads, rows)


def groups(groups: Sequence[GroupReport]) -> Grid:
    """All channel groups."""
    names = ("group", "channels", "made by", "read by", "state")
    heads = tuple(Head(name, right=name == "channels", long=name == "state") for name in names)
    return Grid(heads, tuple(_group(g) for g in groups))


def _group(g: GroupReport) -> tuple[Cell, ...]:
    state = f"frozen: {g.frozen.reason} ({g.frozen.node})" if g.frozen else f"free: {g.symmetry}"
    sides = (Cell(_few(g.producers)), Cell(_few(g.consumers)))
    return (Cell(g.name), Cell(count(g.channels), g.channels), *sides, Cell(state))


def _few(names: Sequence[str], most: int = 4) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
