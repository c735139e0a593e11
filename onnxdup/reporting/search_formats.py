"""The formats of `shrink` and `sweep`: name → pure function from document to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxdup.reporting import codec, github, junit, markdown, text
from onnxdup.reporting.codec import to_json
from onnxdup.reporting.formats import of_suffix
from onnxdup.reporting.search_schema import DOCUMENTS, SearchReport
from onnxdup.reporting.search_view import cases, view

__all__ = ["FORMATS", "from_json", "of_suffix", "to_json", "view"]


def from_json(source: str) -> SearchReport:
    """A document from its JSON text; InputError where it is not one, or of another major version."""
    return codec.from_json(source, DOCUMENTS, "not a document of shrink or sweep")


FORMATS: Mapping[str, Callable[[SearchReport], str]] = {
    "text": lambda document: text.render(view(document)),
    "json": to_json,
    "markdown": lambda document: markdown.render(view(document)),
    "junit": lambda document: junit.render_cases(cases(document)),
    "github": lambda document: github.render_cases(cases(document)),
}
