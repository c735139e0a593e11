"""The formats of a comparison: name → pure function from document to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnxdup.reporting import codec, markdown, text
from onnxdup.reporting.codec import to_json
from onnxdup.reporting.comparison.schema import ComparisonReport
from onnxdup.reporting.comparison.view import of_comparison

SUFFIXES: Mapping[str, str] = {".json": "json", ".md": "markdown", ".markdown": "markdown"}


def from_json(source: str) -> ComparisonReport:
    """A comparison from its JSON text; InputError where it is none, or of another major version."""
    documents = {"onnxdup/comparison": ComparisonReport}
    return codec.from_json(source, documents, "not a comparison: its field schema does not say so")


FORMATS: Mapping[str, Callable[[ComparisonReport], str]] = {
    "text": lambda report: text.render(of_comparison(report)),
    "json": to_json,
    "markdown": lambda report: markdown.render(of_comparison(report)),
}


def of_suffix(path: Path) -> str:
    """Format that a file's extension asks for; text where it says nothing."""
    return SUFFIXES.get(path.suffix.lower(), "text")
