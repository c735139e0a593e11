"""SARIF 2.1.0 (OASIS): a rule per budget, a result per budget that is not met. For code-scanning views."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from onnxdup.gate.schema import CheckReport
from onnxdup.gate.view import cases
from onnxdup.reporting.cases import Case

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {"failed": "error", "inconclusive": "warning"}


def render(report: CheckReport) -> str:
    """The check as a SARIF log with one run."""
    found = cases(report)
    rules = sorted({case.name for case in found})
    driver = {
        "name": report.tool.name,
        "version": report.tool.version,
        "rules": [{"id": _id(name), "shortDescription": {"text": f"Budget: {name}"}} for name in rules],
    }
    results = [_result(case, rules.index(case.name)) for case in found if case.status in _LEVEL]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _id(name: str) -> str:
    return f"onnxdup/{name.lower().replace(' ', '-')}"


def _result(case: Case, index: int) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": _uri(case.suite)}, "region": {"startLine": 1}}
    return {
        "ruleId": _id(case.name),
        "ruleIndex": index,
        "level": _LEVEL[case.status],
        "message": {"text": f"{case.name} {case.status}: {case.detail}"},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """A relative or file URI; names are arbitrary."""
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(pure.as_posix())
