"""A document as a flat list of cases with verdicts: what JUnit and GitHub annotations are made of."""

from __future__ import annotations

from dataclasses import dataclass

from onnxdup.reporting.schema import (
    Artefact,
    Check,
    MergeReport,
    ModelReport,
    Report,
    Status,
    VerificationReport,
)
from onnxdup.reporting.view import layer_name


@dataclass(frozen=True)
class Case:
    """One thing that was looked at: `suite` is the model, `name` the question, `detail` the answer."""

    suite: str
    name: str
    status: Status
    detail: str


def cases(document: Artefact) -> tuple[Case, ...]:
    """Layers of a report (always passed: a report judges nothing), failures, or checks of a run."""
    if isinstance(document, Report):
        found = [case for model in document.models for case in _layers(model)]
        return (*found, *(Case(f.path, "readable", "failed", f.message) for f in document.failures))
    if isinstance(document, MergeReport):
        return _checks(document.model.path, document.checks)
    if isinstance(document, VerificationReport):
        return _checks(document.reduced.path, document.checks)
    suite = document.model.path or "(in memory)"
    top1 = (
        f"top-1 {100 * document.accuracy.top1:.2f} %"
        if document.accuracy
        else "no labels: accuracy not measured"
    )
    return (Case(suite, "runs", "passed", top1),)


def _checks(path: str | None, checks: tuple[Check, ...]) -> tuple[Case, ...]:
    return tuple(Case(path or "(in memory)", c.name, c.status, c.detail) for c in checks)


def _layers(model: ModelReport) -> list[Case]:
    suite, found = model.model.path or "(in memory)", []
    for layer in model.layers:
        shares = ", ".join(f"{100 * t.duplicate_share:.1f} % at {t.tau:g}" for t in layer.taus)
        frozen = f"; frozen: {layer.frozen.reason} ({layer.frozen.node})" if layer.frozen else ""
        found.append(
            Case(
                suite,
                layer_name(layer.node, layer.tensor),
                "passed",
                f"{layer.filters} filters, duplicates {shares}{frozen}",
            )
        )
    return found
