"""From a report, and the model it was made of, to an HTML page and to plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxdup.api import TAUS, Shapes
from onnxdup.api.result import Result
from onnxdup.errors import InputError, UsageError
from onnxdup.graph import Document, load
from onnxdup.reporting.build import Advance, build_report
from onnxdup.reporting.portrait import Portrait, portray
from onnxdup.reporting.schema import Failure, MergeReport, ModelIdentity, ModelReport, Report
from onnxdup.reporting.search_schema import ShrinkReport

Reported = ModelReport | Report | MergeReport | ShrinkReport | Result[MergeReport] | Result[ShrinkReport]


def portraits(
    report: Reported, model: Any = None, *, details: int, input_shapes: Shapes | None = None
) -> tuple[list[Portrait], tuple[Failure, ...]]:
    """Portraits of what was reported, and the files that could not be."""
    if isinstance(report, Report):
        if model is not None and len(report.models) != 1:
            raise UsageError("`model` goes with the report of one model")
        found = [
            _portrait(r, model, max(2, details // len(report.models)), input_shapes) for r in report.models
        ]
        return found, report.failures
    made = report.document if isinstance(report, Result) else None
    told = report.report if isinstance(report, Result) else report
    if isinstance(told, ModelReport):
        return [_portrait(told, model, details, input_shapes)], ()
    merged = told.merge if isinstance(told, ShrinkReport) else told
    if made is None and merged is not None and merged.output is not None:
        made = at_hand(merged.output)
    before = at_hand(told.model) if model is None else _document(model)
    return [of_result(told, before, made, details=details)], ()


def of_result(
    report: MergeReport | ShrinkReport,
    before: Document | None,
    after: Document | None,
    *,
    details: int,
    input_shapes: Shapes | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    progress: Advance | None = None,
) -> Portrait:
    """A merge or a shrink: the original with its duplicates, beside what became of it."""
    if before is None:
        raise InputError(
            "the original is not at hand, or has changed", file=report.model.path, remedy="give it as `model`"
        )
    searched = report if isinstance(report, ShrinkReport) else None
    merged = report.merge if isinstance(report, ShrinkReport) else report
    tau = None if merged is None or searched is not None else merged.plan.tau
    taus = sorted({*TAUS, *([] if tau is None else [tau])}, reverse=True)
    given = build_report(
        before, taus, include=include, exclude=exclude, input_shapes=input_shapes, progress=progress
    )
    left = None if after is None else (build_report(after, taus, input_shapes=input_shapes), after)
    return portray(
        given,
        before,
        details=details,
        tau=tau,
        input_shapes=input_shapes,
        merged=merged,
        after=left,
        searched=searched,
        progress=progress,
    )


def at_hand(identity: ModelIdentity) -> Document | None:
    """The file a report was made of, if it is there and unchanged."""
    if identity.path is None or not Path(identity.path).is_file():
        return None
    try:
        document = load(identity.path)
        return document if document.sha256() == identity.sha256 else None
    except InputError:
        return None


def _portrait(report: ModelReport, model: Any, details: int, input_shapes: Shapes | None) -> Portrait:
    document = at_hand(report.model) if model is None else _document(model)
    if document is not None and model is not None and document.sha256() != report.model.sha256:
        raise UsageError("the report was made of another model", file=document.path)
    return portray(report, document, details=details, input_shapes=input_shapes)


def _document(model: Any) -> Document:
    return model if isinstance(model, Document) else load(model)
