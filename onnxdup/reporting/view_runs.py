"""The views of the commands that run models: `merge`, `evaluate` and `verify`."""

from __future__ import annotations

import math

from onnxdup.reporting.schema import (
    Accuracy,
    Change,
    EvaluationReport,
    Fidelity,
    Latency,
    MergeReport,
    Paired,
    VerificationReport,
)
from onnxdup.reporting.view import (
    Block,
    Column,
    Line,
    Table,
    View,
    accuracy,
    check,
    count,
    identity,
    inputs,
    layer_name,
    number,
    percent,
    saved,
    size,
    why_not_more,
)

UNCHECKED = "Accuracy was not checked: no labelled data (give --data FILE.npz)."


def of_merge(report: MergeReport) -> View:
    """Before / after / saved per layer and in total, the verification, and why not more."""
    return (
        identity(report.model),
        _changes(report),
        *_comparison(report.accuracy_before, report.accuracy_after, report.paired, report.fidelity),
        *(
            [Line(f"Compared on {inputs(report.inputs)}, with {report.provider}.", "quiet")]
            if report.inputs
            else []
        ),
        *map(check, report.checks),
        _plan(report),
        why_not_more(report.obstacles),
        *(Line(note, "quiet") for note in report.notes),
        _written(report),
    )


def of_verification(report: VerificationReport) -> View:
    """Two models side by side and the verdict."""
    return (
        identity(report.original),
        identity(report.reduced),
        *_comparison(report.accuracy_before, report.accuracy_after, report.paired, report.fidelity),
        Line(f"Compared on {inputs(report.inputs)}, with {report.provider}.", "quiet"),
        *map(check, report.checks),
        *(Line(note, "quiet") for note in report.notes),
        Line(f"Verification {report.status}.", "good" if report.status == "passed" else "bad"),
    )


def of_evaluation(report: EvaluationReport) -> View:
    """Accuracy, latency and size of one model."""
    rows = [("parameters", count(report.parameters)), ("bytes", size(report.model.bytes))]
    if report.macs is not None:
        rows.append(("MACs per sample", count(report.macs)))
    if report.accuracy:
        rows.append(("accuracy, top-1", accuracy(report.accuracy)))
        if report.accuracy.top5 is not None:
            rows.append(("accuracy, top-5", percent(report.accuracy.top5, 2)))
    if report.latency:
        rows.append((f"latency, batch {report.latency.batch}", _latency(report.latency)))
    blocks: list[Block] = [
        identity(report.model),
        Table((Column("measure", right=False), Column("value")), tuple(rows)),
    ]
    if not report.accuracy:
        blocks.append(Line(UNCHECKED))
    blocks.append(Line(f"Run on {inputs(report.inputs)}, with {report.provider}.", "quiet"))
    return (*blocks, *(Line(note, "quiet") for note in report.notes))


def _changes(report: MergeReport) -> Table:
    columns = (
        Column("layer", right=False),
        Column("op", right=False, optional=True),
        Column("before"),
        Column("after"),
        Column("saved"),
    )
    rows = tuple(
        (
            layer_name(x.node, x.tensor),
            x.op,
            count(x.filters.before),
            count(x.filters.after),
            saved(x.filters),
        )
        for x in report.layers
    )
    totals = [_total("filters", report.filters), _total("parameters", report.parameters)]
    if report.macs:
        totals.append(_total("MACs", report.macs))
    nbytes = report.bytes
    totals.append(("bytes", "", size(nbytes.before), size(nbytes.after), saved(nbytes)))
    return Table(columns, rows, tuple(totals))


def _total(name: str, change: Change) -> tuple[str, ...]:
    return (name, "", count(change.before), count(change.after), saved(change))


def _comparison(
    before: Accuracy | None, after: Accuracy | None, paired: Paired | None, fidelity: tuple[Fidelity, ...]
) -> list[Block]:
    blocks: list[Block] = []
    if before and after:
        blocks += [Line(f"Accuracy before: {accuracy(before)}"), Line(f"Accuracy after:  {accuracy(after)}")]
    else:
        blocks.append(Line(UNCHECKED))
    if paired:
        blocks.append(Line(_paired(paired)))
    return [*blocks, *(Line(_fidelity(f)) for f in fidelity)]


def _paired(paired: Paired) -> str:
    low, high = 100 * paired.drop_interval.low, 100 * paired.drop_interval.high
    return (
        f"Drop {100 * paired.drop:.2f} points ({100 * paired.drop_interval.confidence:g} % interval "
        f"{low:.2f} to {high:.2f}); right only before {paired.only_before_right}, only after "
        f"{paired.only_after_right}, McNemar p = {number(paired.p_value)}"
    )


def _fidelity(value: Fidelity) -> str:
    agreement = "" if value.agreement is None else f", top-1 agreement {percent(value.agreement, 2)}"
    noise = f" (rounding noise {number(value.noise)})" if value.noise else ""
    cosine = "" if math.isnan(value.cosine) else f", cosine {value.cosine:.6f}"
    note = f" ({value.note})" if value.note else ""
    errors = (
        f"max error {number(value.max_absolute_error)}{noise}, "
        f"mean error {number(value.mean_absolute_error)}, relative {number(value.relative_error)}"
    )
    return f"Output {value.output}: {errors}{cosine}{agreement}{note}"


def _latency(value: Latency) -> str:
    quartiles = f"{number(value.lower_quartile_ms)} to {number(value.upper_quartile_ms)}"
    return f"{number(value.median_ms)} ms (quartiles {quartiles})"


def _plan(report: MergeReport) -> Line:
    plan = report.plan
    if not plan.exact and not plan.approximate:
        return Line(f"Nothing to merge at tau {plan.tau:g} ({plan.method}): the output equals the input.")
    at = f" at tau {plan.tau:g}" if plan.tau < 1 else ""
    near = f" and {count(plan.approximate)} by {plan.method}{at}" if plan.method != "exact" else ""
    groups = f"{plan.groups} channel group{'s' if plan.groups != 1 else ''}"
    return Line(f"Removed {count(plan.exact)} channels by exact relations{near}, in {groups}.")


def _written(report: MergeReport) -> Line:
    if report.output is None or report.output.path is None:
        return Line(
            f"Verification {report.status}: nothing was written.",
            "good" if report.status == "passed" else "bad",
        )
    ledger = f", exact merges proven in {report.ledger}" if report.ledger else ""
    return Line(
        f"Verification {report.status}: wrote {report.output.path}{ledger}.",
        "good" if report.status == "passed" else "bad",
    )
