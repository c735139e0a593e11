"""The formats of a comparison: name → pure function from document to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from onnxdup.errors import InputError
from onnxdup.reporting import codec, markdown, text
from onnxdup.reporting.comparison.schema import ComparisonReport
from onnxdup.reporting.comparison.view import of_comparison

SUFFIXES: Mapping[str, str] = {".json": "json", ".md": "markdown", ".markdown": "markdown"}


def to_json(report: ComparisonReport) -> str:
    """JSON as declared in `schemas/comparison.json`; non-finite numbers are null."""
    return json.dumps(codec.to_dict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(source: str) -> ComparisonReport:
    """The inverse of `to_json`. InputError where it is no comparison, or of another major version."""
    try:
        data = json.loads(source)
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != "onnxdup/comparison":
        raise InputError("not a comparison: its field schema does not say so")
    if str(data.get("schema_version")).split(".")[0] != "1":
        raise InputError(
            f"schema version {data.get('schema_version')} is not supported", remedy="this onnxdup reads 1.x"
        )
    return codec.from_dict(ComparisonReport, data)


FORMATS: Mapping[str, Callable[[ComparisonReport], str]] = {
    "text": lambda report: text.render(of_comparison(report)),
    "json": to_json,
    "markdown": lambda report: markdown.render(of_comparison(report)),
}


def of_suffix(path: Path) -> str:
    """Format that a file's extension asks for; text where it says nothing."""
    return SUFFIXES.get(path.suffix.lower(), "text")
