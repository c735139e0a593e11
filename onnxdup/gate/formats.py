"""The formats of a check: name → pure function from document to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnxdup.gate import sarif
from onnxdup.gate.schema import SCHEMA_VERSION, CheckReport
from onnxdup.gate.view import cases, of_check
from onnxdup.reporting import codec, formats, github, junit, markdown, text

SCHEMA_FILE = Path(__file__).parent / "schemas" / "check.json"


def to_json(report: CheckReport) -> str:
    """JSON as declared in `schemas/check.json`; non-finite numbers are null."""
    return json.dumps(codec.to_dict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


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


def schema() -> dict[str, Any]:
    """JSON Schema of the document, generated from its classes."""
    major = SCHEMA_VERSION.partition(".")[0]
    return codec.json_schema(
        CheckReport, title=f"onnxdup/check {SCHEMA_VERSION}", identifier=f"urn:onnxdup:check:{major}"
    )


def schema_text() -> str:
    """Content of `schemas/check.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
