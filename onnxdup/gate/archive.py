"""Facts from archived reports: a model can be gated again without being there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from onnxdup.errors import InputError
from onnxdup.gate.schema import CheckReport, Facts, Reference
from onnxdup.reporting import codec
from onnxdup.reporting.formats import OTHER
from onnxdup.reporting.schema import (
    DOCUMENTS,
    Artefact,
    EvaluationReport,
    Fidelity,
    MergeReport,
    ModelReport,
    Report,
    VerificationReport,
)


def read_archive(path: str | Path) -> tuple[Facts, ...]:
    """Facts of every model in a report file written by any command. InputError where it is not one."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the report cannot be read: {error}", file=path) from error
    try:
        found = facts_of(read(text))
    except InputError as error:
        raise InputError(error.what, file=path, tensor=error.tensor) from error
    if not found:
        raise InputError("the report holds no model", file=path)
    return found


def read(text: str) -> Artefact | CheckReport:
    """Any document from its JSON text."""
    documents: Mapping[str, type[Artefact | CheckReport]] = {**DOCUMENTS, "onnxdup/check": CheckReport}
    return codec.from_json(text, documents, OTHER)


def facts_of(document: Artefact | CheckReport) -> tuple[Facts, ...]:
    """What a document says that budgets are judged by."""
    if isinstance(document, CheckReport):
        return tuple(m.facts for m in document.models)
    if isinstance(document, Report):
        return tuple(map(_reported, document.models))
    if isinstance(document, EvaluationReport):
        return (_evaluated(document),)
    return (_merged(document) if isinstance(document, MergeReport) else _verified(document),)


def reference_of(facts: Facts) -> Reference:
    """A model's facts as the base of another: what was stored, nothing measured beside it."""
    return Reference(facts.model, facts.filters, facts.taus, facts.parameters, facts.macs, facts.accuracy)


def agreement(fidelity: tuple[Fidelity, ...]) -> float | None:
    """The smallest agreement over the outputs that hold class scores."""
    return min((f.agreement for f in fidelity if f.agreement is not None), default=None)


def _reported(model: ModelReport) -> Facts:
    total = model.totals
    return Facts(
        *(model.model, total.filters, total.taus, total.parameters, None, None, "", ""),
        accuracy=None,
        latency=None,
        base=None,
    )


def _evaluated(document: EvaluationReport) -> Facts:
    return Facts(
        *(document.model, None, (), document.parameters, document.macs, document.inputs),
        provider=document.provider,
        provider_note=document.provider_note,
        accuracy=document.accuracy,
        latency=document.latency,
        base=None,
    )


def _merged(document: MergeReport) -> Facts:
    macs = document.macs
    base = Reference(
        *(document.model, document.filters.before, (), document.parameters.before),
        macs=macs.before if macs else None,
        accuracy=document.accuracy_before,
        paired=document.paired,
        agreement=agreement(document.fidelity),
    )
    model = document.output or replace(document.model, bytes=document.bytes.after)
    return Facts(
        *(model, document.filters.after, (), document.parameters.after),
        macs=macs.after if macs else None,
        inputs=document.inputs,
        provider=document.provider,
        provider_note=document.provider_note,
        accuracy=document.accuracy_after,
        latency=None,
        base=base,
    )


def _verified(document: VerificationReport) -> Facts:
    base = Reference(
        *(document.original, None, (), None, None, document.accuracy_before),
        paired=document.paired,
        agreement=agreement(document.fidelity),
    )
    return Facts(
        *(document.reduced, None, (), None, None, document.inputs),
        provider=document.provider,
        provider_note=document.provider_note,
        accuracy=document.accuracy_after,
        latency=None,
        base=base,
    )
