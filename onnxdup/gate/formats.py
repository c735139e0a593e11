"""The formats of a check: name → pure function from document to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnxdup.gate import sarif
from onnxdup.gate.schema import CheckReport
from onnxdup.gate.view import cases, of_check
from onnxdup.reporting import formats, github, junit, markdown, text
from onnxdup.reporting.codec import to_json

FORMATS: Mapping[str, Callable[[CheckReport], str]] = {
    "text": lambda report: text.render(of_check(report)),
    "json": to_json,
    "markdown": lambda report: markdown.render(of_check(report)),
    "junit": lambda report: junit.render_cases(cases(report)),
    "github": lambda report: github.render_cases(cases(report)),
    "sarif": sarif.render,
}


def of_suffix(path: Path) -> str:
    """Format that a file's extension asks for; text where it says nothing."""
    return "sarif" if path.suffix.lower() == ".sarif" else formats.of_suffix(path)
