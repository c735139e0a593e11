"""The document of `merge` and `verify`: two models, what was measured between them, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxdup.channels import Trace
from onnxdup.evaluation import Comparison, Cost, cost
from onnxdup.graph import Document
from onnxdup.reporting import runs, schema
from onnxdup.reporting.build import obstacles
from onnxdup.reporting.judge import verdict
from onnxdup.reporting.runs import TOOL, identity


@dataclass(frozen=True)
class Measured:
    """A comparison with its checks; `comparison` is None where no model was run, and `notes` say why."""

    comparison: Comparison | None
    checks: tuple[schema.Check, ...]
    notes: tuple[str, ...] = ()


def layer_changes(before: Trace, after: Trace) -> tuple[schema.LayerChange, ...]:
    """Filters of every layer before and after; nodes keep their names in a merge."""
    left = {(x.node, x.op_type): x.filters for x in after.layers}
    return tuple(
        schema.LayerChange(
            x.node, x.op_type, x.tensor, schema.Change(x.filters, left.get((x.node, x.op_type), x.filters))
        )
        for x in before.layers
    )


def merge_report(
    before: Trace,
    after: Trace,
    plan: schema.PlanSummary,
    measured: Measured,
    *,
    output: schema.ModelIdentity | None = None,
    ledger: str | None = None,
    declined: Mapping[str, str] | None = None,
) -> schema.MergeReport:
    """Document of `merge`; `output` is the file that was written, None where nothing was."""
    layers, found = layer_changes(before, after), measured.comparison
    old, new = _costs(before.document, after.document, found)
    return schema.MergeReport(
        schema="onnxdup/merge",
        schema_version=schema.SCHEMA_VERSION,
        tool=TOOL,
        status=verdict(measured.checks),
        model=identity(before.document),
        output=output,
        ledger=ledger,
        plan=plan,
        layers=layers,
        filters=schema.Change(sum(x.filters.before for x in layers), sum(x.filters.after for x in layers)),
        parameters=schema.Change(old.parameters, new.parameters),
        macs=runs.macs(found) if found else None,
        bytes=schema.Change(old.bytes, new.bytes),
        inputs=runs.inputs(found) if found else None,
        provider=runs.provider(found) if found else "",
        provider_note=found.note if found else "",
        accuracy_before=runs.accuracy(found.accuracy_before) if found else None,
        accuracy_after=runs.accuracy(found.accuracy_after) if found else None,
        paired=runs.paired(found.paired) if found else None,
        fidelity=runs.fidelity(found) if found else (),
        checks=measured.checks,
        obstacles=obstacles(before, declined or {}),
        notes=measured.notes,
    )


def verification_report(
    original: Document,
    reduced: Document,
    found: Comparison,
    checks: Sequence[schema.Check],
    notes: Sequence[str],
) -> schema.VerificationReport:
    """Document of `verify`."""
    return schema.VerificationReport(
        schema="onnxdup/verification",
        schema_version=schema.SCHEMA_VERSION,
        tool=TOOL,
        status=verdict(tuple(checks)),
        original=identity(original),
        reduced=identity(reduced),
        inputs=runs.inputs(found),
        provider=runs.provider(found),
        provider_note=found.note,
        accuracy_before=runs.accuracy(found.accuracy_before),
        accuracy_after=runs.accuracy(found.accuracy_after),
        paired=runs.paired(found.paired),
        fidelity=runs.fidelity(found),
        checks=tuple(checks),
        notes=tuple(notes),
    )


def _costs(before: Document, after: Document, found: Comparison | None) -> tuple[Cost, Cost]:
    if found:
        return found.cost_before, found.cost_after
    return cost(before), cost(after)
