"""A check as tables and lines, and as flat cases."""

from __future__ import annotations

import math
from collections.abc import Callable

from onnxdup.gate.schema import CheckReport, Facts, ModelCheck, Reference
from onnxdup.reporting.cases import Case
from onnxdup.reporting.schema import AtTau, Failure
from onnxdup.reporting.view import (
    Block,
    Column,
    Line,
    Table,
    View,
    check,
    count,
    identity,
    inputs,
    percent,
    size,
)
from onnxdup.reporting.view import number as digits

_WORDS = {
    "passed": "The gate is passed.",
    "failed": "The gate failed.",
    "inconclusive": "The gate is inconclusive: more data are needed to decide.",
    "error": "The gate could not be judged.",
}
_CODES = {3: "readable", 4: "verifiable"}


def of_check(report: CheckReport) -> View:
    """Every model with its base and its budgets, then the models that could not be measured."""
    blocks: list[Block] = []
    for model in report.models:
        blocks += _of_model(model)
    blocks += [Line(f"not checked: {f.message}", "bad") for f in report.failures]
    blocks += [Line(note, "quiet") for note in report.notes]
    return (*blocks, Line(_WORDS[report.status], "good" if report.status == "passed" else "bad"))


def cases(report: CheckReport) -> tuple[Case, ...]:
    """One case per budget, and one per model that could not be measured."""
    found = [
        Case(m.facts.model.path or "(in memory)", c.name, c.status, c.detail)
        for m in report.models
        for c in m.checks
    ]
    return (*found, *map(_failed, report.failures))


def _failed(failure: Failure) -> Case:
    return Case(failure.path, _CODES.get(failure.exit_code, "checked"), "failed", failure.message)


def _of_model(model: ModelCheck) -> list[Block]:
    facts = model.facts
    blocks: list[Block] = [
        identity(facts.model),
        _against(facts, facts.base) if facts.base else _alone(facts),
    ]
    if facts.inputs:
        blocks.append(Line(f"Run on {inputs(facts.inputs)}, with {facts.provider}.", "quiet"))
    return [*blocks, *map(check, model.checks)]


def _alone(facts: Facts) -> Table:
    rows = [(name, shown) for name, _, shown, _ in _measures(facts, None)]
    return Table((Column("measure", right=False), Column("value")), tuple(rows))


def _against(facts: Facts, base: Reference) -> Table:
    columns = (Column("measure", right=False), Column("base"), Column("head"), Column("change"))
    return Table(columns, tuple((n, old, new, change) for n, old, new, change in _measures(facts, base)))


def _measures(facts: Facts, base: Reference | None) -> list[tuple[str, str, str, str]]:
    """(name, base, head, change) of everything that is known of the head."""
    rows = [
        _row("filters", base.filters if base else None, facts.filters, count, _relative),
        *(_share(at, base) for at in facts.taus),
        _row("parameters", base.parameters if base else None, facts.parameters, count, _relative),
        _row("MACs per sample", base.macs if base else None, facts.macs, count, _relative),
        _row("bytes", base.model.bytes if base else None, facts.model.bytes, size, _relative),
        _accuracy(facts, base),
        _row("top-1 agreement", None, base.agreement if base else None, _percent, _none),
        _row("latency", _median(base), _median(facts), _milliseconds, _relative),
    ]
    return [row for row in rows if row is not None]


Row = tuple[str, str, str, str]


def _row(
    name: str,
    base: float | None,
    head: float | None,
    show: Callable[..., str],
    change: Callable[[float, float], str],
) -> Row | None:
    if head is None:
        return None
    return (
        name,
        "-" if base is None else show(base),
        show(head),
        "-" if base is None else change(base, head),
    )


def _share(at: AtTau, base: Reference | None) -> Row | None:
    old = next((t.duplicate_share for t in base.taus if t.tau == at.tau), None) if base else None
    return _row(f"duplicates at tau {at.tau:g}", old, at.duplicate_share, percent, _points)


def _accuracy(facts: Facts, base: Reference | None) -> Row | None:
    if facts.accuracy is None:
        return None
    old = base.accuracy if base else None
    return _row("accuracy", old.top1 if old else None, facts.accuracy.top1, _percent, _points)


def _median(holder: Facts | Reference | None) -> float | None:
    return holder.latency.median_ms if holder and holder.latency else None


def _milliseconds(value: float) -> str:
    return f"{digits(value)} ms"


def _percent(value: float) -> str:
    return percent(value, 2)


def _relative(base: float, head: float) -> str:
    return f"{100 * (head / base - 1):+.1f} %" if base and math.isfinite(head) else "-"


def _points(base: float, head: float) -> str:
    return f"{100 * (head - base):+.2f} points"


def _none(_base: float, _head: float) -> str:
    return "-"
