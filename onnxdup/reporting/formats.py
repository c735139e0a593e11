"""The table of formats: name → pure function from document to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnxdup.reporting import codec, github, junit, markdown, text
from onnxdup.reporting.codec import to_json
from onnxdup.reporting.schema import (
    DOCUMENTS,
    Artefact,
    EvaluationReport,
    MergeReport,
    Report,
)
from onnxdup.reporting.view import View
from onnxdup.reporting.view_report import of_report
from onnxdup.reporting.view_runs import of_evaluation, of_merge, of_verification

SUFFIXES: Mapping[str, str] = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".xml": "junit"}
OTHER = "not an onnxdup document: its field schema names none of them"


def view(document: Artefact) -> View:
    """Tables and lines of any document."""
    if isinstance(document, Report):
        return of_report(document)
    if isinstance(document, MergeReport):
        return of_merge(document)
    return of_evaluation(document) if isinstance(document, EvaluationReport) else of_verification(document)


def from_json(source: str) -> Artefact:
    """Any document from its JSON text; InputError where it is not one, or of another major version."""
    return codec.from_json(source, DOCUMENTS, OTHER)


FORMATS: Mapping[str, Callable[[Artefact], str]] = {
    "text": lambda document: text.render(view(document)),
    "json": to_json,
    "markdown": lambda document: markdown.render(view(document)),
    "junit": junit.render,
    "github": github.render,
}


def of_suffix(path: Path) -> str:
    """Format that a file's extension asks for; text where it says nothing."""
    return SUFFIXES.get(path.suffix.lower(), "text")
