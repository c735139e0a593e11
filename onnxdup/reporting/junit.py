"""JUnit XML: one suite per model, one case per layer or check."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from onnxdup.reporting.cases import Case, cases
from onnxdup.reporting.schema import Artefact

_CHILD = {"failed": "failure", "inconclusive": "failure", "skipped": "skipped"}


def render(document: Artefact) -> str:
    """The document as JUnit XML; inconclusive counts as a failure that says so."""
    return render_cases(cases(document))


def render_cases(found: Sequence[Case]) -> str:
    """Cases as JUnit XML, those of a suite together."""
    root = ET.Element("testsuites", _counts("onnxdup", found))
    for suite, members in groupby(found, key=lambda c: c.suite):
        _suite(root, suite, tuple(members))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, suite: str, members: tuple[Case, ...]) -> None:
    element = ET.SubElement(root, "testsuite", _counts(suite, members))
    for case in members:
        entry = ET.SubElement(element, "testcase", {"classname": _legal(suite), "name": _legal(case.name)})
        if case.status in _CHILD:
            ET.SubElement(entry, _CHILD[case.status], {"message": _legal(f"{case.status}: {case.detail}")})
        else:
            ET.SubElement(entry, "system-out").text = _legal(case.detail)


def _counts(name: str, found: Sequence[Case]) -> dict[str, str]:
    bad = sum(c.status in ("failed", "inconclusive") for c in found)
    skipped = sum(c.status == "skipped" for c in found)
    return {"name": _legal(name), "tests": str(len(found)), "failures": str(bad), "skipped": str(skipped)}


def _legal(text: str) -> str:
    """Node names may hold control characters, which XML 1.0 cannot express."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?"
        for c in text
    )
