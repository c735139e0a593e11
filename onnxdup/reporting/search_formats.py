"""The formats of `shrink` and `sweep`: name → pure function from document to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from onnxdup.errors import InputError
from onnxdup.reporting import codec, github, junit, markdown, text
from onnxdup.reporting.formats import of_suffix
from onnxdup.reporting.search_schema import DOCUMENTS, SearchReport
from onnxdup.reporting.search_view import cases, view

__all__ = ["FORMATS", "from_json", "of_suffix", "to_json", "view"]


def to_json(document: SearchReport) -> str:
    """JSON as declared in `schemas/`; non-finite numbers are null."""
    return json.dumps(codec.to_dict(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(source: str) -> Any:
    """A document from its JSON text; InputError where it is not one, or of another major version."""
    try:
        data = json.loads(source)
        cls, version = DOCUMENTS[data["schema"]], str(data["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("not a document of shrink or sweep") from error
    if version.partition(".")[0] != "1":
        raise InputError(f"schema version {version} is not supported", remedy="this onnxdup reads 1.x")
    return codec.from_dict(cls, data)


FORMATS: Mapping[str, Callable[[SearchReport], str]] = {
    "text": lambda document: text.render(view(document)),
    "json": to_json,
    "markdown": lambda document: markdown.render(view(document)),
    "junit": lambda document: junit.render_cases(cases(document)),
    "github": lambda document: github.render_cases(cases(document)),
}
