"""The views of `shrink` and `sweep`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onnxdup.reporting.cases import Case
from onnxdup.reporting.cases import cases as cases_of_merge
from onnxdup.reporting.search_schema import (
    Budget,
    Holdout,
    SearchReport,
    ShrinkReport,
    SweepPoint,
    SweepReport,
    Trial,
)
from onnxdup.reporting.view import (
    Block,
    Column,
    Line,
    Table,
    View,
    accuracy,
    count,
    identity,
    inputs,
    number,
    percent,
    size,
)
from onnxdup.reporting.view_runs import of_merge

Cell = Callable[[Any], str]
_COLUMNS: Mapping[str, tuple[str, Cell]] = {
    "keep": ("channels", percent),
    "parameters": ("parameters", count),
    "macs": ("MACs", count),
    "bytes": ("bytes", size),
    "latency_ms": ("ms", number),
    "drop": ("drop", lambda v: f"{v:.2f}"),
    "drop_bound": ("at most", lambda v: f"{v:.2f}"),
    "error": ("error", number),
    "agreement": ("agree", lambda v: f"{v:.1f} %"),
}


def view(document: SearchReport) -> View:
    """Tables and lines of a search."""
    return of_shrink(document) if isinstance(document, ShrinkReport) else of_sweep(document)


def cases(document: SearchReport) -> tuple[Case, ...]:
    """The checks of a shrink; points of a sweep, which judges nothing."""
    suite = document.model.path or "(in memory)"
    if isinstance(document, SweepReport):
        return tuple(Case(suite, _setting(p), "passed", _result(p)) for p in document.points)
    if document.merge is None:
        return (Case(suite, "budget", "failed", "; ".join(document.notes) or budget(document.budget)),)
    return (*cases_of_merge(document.merge),)


def of_shrink(report: ShrinkReport) -> View:
    """What was tried, then the chosen model as `merge` shows one."""
    asked = f"Budget: {budget(report.budget)}; {report.method}, {count(report.steps)} steps, cheapest first."
    blocks: list[Block] = [] if report.merge else [identity(report.model)]
    if report.merge is not None:
        blocks += of_merge(report.merge)[:-1]
    blocks += [_trials(report), Line(asked, "quiet"), *(Line(note, "quiet") for note in report.notes)]
    if report.holdout is not None:
        blocks += _holdout(report.holdout)
    if report.merge is None:
        return (*blocks, Line("No candidate is within the budget: nothing was written.", "bad"))
    return (*blocks, of_merge(report.merge)[-1])


def budget(value: Budget) -> str:
    """Targets and limits in words."""
    level = f" at {100 * value.confidence:g} %" if "max-drop" in value.limits else ""
    words = [f"{name} {amount:,.10g}" for name, amount in {**value.targets, **value.limits}.items()]
    return ", ".join(words) + level


def _trials(report: ShrinkReport) -> Table:
    known = [n for n in _COLUMNS if any(getattr(t, n) is not None for t in report.trials)]
    optional = {"bytes", "agreement", "keep"}
    columns = [Column(_COLUMNS[n][0], optional=n in optional) for n in known]
    rows = tuple(_trial(t, known, report.chosen) for t in report.trials)
    return Table((Column("steps"), *columns, Column("within")), rows)


def _trial(trial: Trial, names: list[str], chosen: int | None) -> tuple[str, ...]:
    cells = [_cell(_COLUMNS[n][1], getattr(trial, n)) for n in names]
    verdicts = [v for v in (trial.enough, trial.good) if v is not None]
    word = ("yes" if all(verdicts) else "no") if verdicts else "-"
    return (count(trial.position), *cells, f"{word} *" if trial.position == chosen else word)


def _cell(show: Cell, value: Any) -> str:
    return "-" if value is None else show(value)


def _holdout(found: Holdout) -> list[Block]:
    blocks: list[Block] = [Line(f"On {inputs(found.inputs)}, which were not used to choose:")]
    if found.accuracy_before and found.accuracy_after:
        blocks.append(Line(f"Accuracy before: {accuracy(found.accuracy_before)}"))
        blocks.append(Line(f"Accuracy after:  {accuracy(found.accuracy_after)}"))
    elif found.agreement is not None:
        blocks.append(Line(f"Top-1 agreement {percent(found.agreement, 2)}"))
    return blocks


def of_sweep(report: SweepReport) -> View:
    """One row per reduced model, the original first."""
    macs = any(p.macs is not None for p in report.points)
    labelled = report.base.accuracy is not None
    measure = ("accuracy", "drop") if labelled else ("error", "agree")
    columns = [
        Column("method", right=False),
        *(Column(t) for t in ("setting", "filters", "parameters")),
        *([Column("MACs", optional=True)] if macs else []),
        Column("bytes", optional=True),
        *(Column(t) for t in measure),
    ]
    rows = tuple(_point(p, macs, labelled) for p in (report.base, *report.points))
    notes = {f"{_setting(p)}: {p.note}" for p in report.points if p.note}
    return (
        identity(report.model),
        Table(tuple(columns), rows),
        Line(f"Run on {inputs(report.inputs)}, with {report.provider}.", "quiet"),
        *(Line(note, "quiet") for note in (*sorted(notes), *report.notes)),
    )


def _point(point: SweepPoint, macs: bool, labelled: bool) -> tuple[str, ...]:
    first = point.accuracy.top1 if point.accuracy else float("nan")
    drop = "-" if point.paired is None else f"{100 * point.paired.drop:.2f}"
    agreement = "-" if point.agreement is None else percent(point.agreement, 1)
    error = "-" if point.error is None else number(point.error)
    return (
        point.method,
        _value(point),
        count(point.filters),
        count(point.parameters),
        *([_cell(count, point.macs)] if macs else []),
        size(point.bytes),
        *((percent(first, 2), drop) if labelled else (error, agreement)),
    )


def _value(point: SweepPoint) -> str:
    if point.tau is not None:
        return f"tau {point.tau:g}"
    return "-" if point.keep is None else f"keep {point.keep:g}"


def _setting(point: SweepPoint) -> str:
    return f"{point.method} {_value(point)}"


def _result(point: SweepPoint) -> str:
    measured = f"top-1 {percent(point.accuracy.top1, 2)}" if point.accuracy else f"error {point.error}"
    return f"{count(point.filters)} filters, {count(point.parameters)} parameters, {measured}"
