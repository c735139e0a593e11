"""The table of formats: name → pure function from document to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnxdup.errors import InputError
from onnxdup.reporting import codec, github, junit, markdown, text
from onnxdup.reporting.schema import (
    DOCUMENTS,
    Artefact,
    EvaluationReport,
    MergeReport,
    Report,
    VerificationReport,
)
from onnxdup.reporting.view import View
from onnxdup.reporting.view_report import of_report
from onnxdup.reporting.view_runs import of_evaluation, of_merge, of_verification

SUFFIXES: Mapping[str, str] = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".xml": "junit"}


def view(document: Artefact) -> View:
    """Tables and lines of any document."""
    if isinstance(document, Report):
        return of_report(document)
    if isinstance(document, MergeReport):
        return of_merge(document)
    return of_evaluation(document) if isinstance(document, EvaluationReport) else of_verification(document)


def to_json(document: Artefact) -> str:
    """JSON with sorted structure as declared, two-space indent, non-finite numbers as null."""
    return json.dumps(codec.to_dict(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(source: str) -> Artefact:
    """Any document from its JSON text; InputError where it is not one, or of another major version."""
    try:
        data = json.loads(source)
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("schema") not in DOCUMENTS:
        raise InputError("not an onnxdup document: its field schema names none of them")
    return _read(data)


def _read(data: dict[str, Any]) -> Artefact:
    cls, version = DOCUMENTS[data["schema"]], str(data.get("schema_version"))
    if version.split(".")[0] != "1":
        raise InputError(f"schema version {version} is not supported", remedy="this onnxdup reads 1.x")
    document: Report | MergeReport | EvaluationReport | VerificationReport = codec.from_dict(cls, data)
    return document


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
