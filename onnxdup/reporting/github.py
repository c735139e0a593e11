"""GitHub workflow commands: an annotation per failed case, one notice otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from onnxdup.reporting.cases import Case, cases
from onnxdup.reporting.schema import Artefact

_LEVEL = {"passed": "notice", "skipped": "warning", "failed": "error", "inconclusive": "error"}


def render(document: Artefact) -> str:
    """One `::level file=…,title=…::message` line per case."""
    return render_cases(cases(document))


def render_cases(found: Iterable[Case]) -> str:
    """One line per case."""
    return "".join(f"{_annotation(case)}\n" for case in found)


def _annotation(case: Case) -> str:
    title = _property(f"onnxdup: {case.name} {case.status}")
    return f"::{_LEVEL[case.status]} file={_property(case.suite)},title={title}::{_data(case.detail)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
