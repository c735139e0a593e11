"""The formats of a check: schema, JUnit, annotations, SARIF, the table of base against head; archives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from gate_facts import base, facts, report

from onnxdup.errors import InputError
from onnxdup.gate import CheckReport, outputs, schema_files
from onnxdup.gate.archive import facts_of, read, read_archive
from onnxdup.gate.formats import FORMATS, of_suffix
from onnxdup.gate.view import of_check
from onnxdup.reporting import text
from onnxdup.reporting.schema_files import text as schema_text

# The part of the OASIS schema of SARIF 2.1.0 that a log of ours uses, with its required properties.
_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "properties": {
                "artifactLocation": {"properties": {"uri": {"type": "string", "format": "uri-reference"}}},
                "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
            },
        }
    },
}
_RESULT = {
    "type": "object",
    "required": ["message"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": -1},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": _TEXT,
        "locations": {"type": "array", "items": _LOCATION},
    },
}
_RULE = {"type": "object", "required": ["id"], "properties": {"shortDescription": _TEXT}}
_DRIVER = {
    "type": "object",
    "required": ["name"],
    "properties": {"rules": {"type": "array", "uniqueItems": True, "items": _RULE}},
}
_RUN = {
    "type": "object",
    "required": ["tool"],
    "additionalProperties": False,
    "properties": {
        "tool": {"type": "object", "required": ["driver"], "properties": {"driver": _DRIVER}},
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": _RESULT},
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {"type": "array", "items": _RUN},
    },
}


def schema(name: str) -> Any:
    return json.loads((schema_files.FOLDER / f"{name}.json").read_text())


def test_schema_files_are_those_of_the_classes() -> None:
    for name, content in schema_files.schemas().items():
        assert (schema_files.FOLDER / name).read_text() == schema_text(content), "python -m onnxdup.gate"
        jsonschema.Draft202012Validator.check_schema(content)


@pytest.mark.parametrize("without", [{}, {"base": None}, {"base": base(model=facts().model, paired=None)}])
def test_json_keeps_to_the_schema_and_reads_back(without: dict[str, Any]) -> None:
    original = report()
    model = replace(original.models[0], facts=facts(**without))
    written = FORMATS["json"](replace(original, models=(model,)))
    jsonschema.validate(json.loads(written), schema("check"))
    again = read(written)
    assert isinstance(again, CheckReport) and again.models[0].facts == model.facts
    assert FORMATS["json"](again) == written


def test_junit_has_one_case_per_budget_and_failure() -> None:
    root = ET.fromstring(FORMATS["junit"](report()).encode())
    found = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert found == {
        "bytes": ["system-out"],
        "removable": ["failure"],
        "accuracy drop": ["failure"],
        "readable": ["failure"],
    }
    assert (root.get("tests"), root.get("failures")) == ("4", "3")
    messages = [f.get("message", "") for f in root.iter("failure")]
    assert any(m.startswith("inconclusive: ") for m in messages)


def test_annotations_are_one_line_each_and_cannot_be_forged() -> None:
    lines = FORMATS["github"](report()).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::notice", "::error", "::error", "::error"]
    assert "%0A::error::x" in lines[1]


def test_sarif_is_sarif() -> None:
    log = json.loads(FORMATS["sarif"](report()))
    jsonschema.validate(log, SARIF)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [r["level"] for r in run["results"]] == ["error", "warning", "error"]
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place == "models/big%20%C3%BCnit%7C1.onnx"


def test_markdown_has_base_against_head() -> None:
    shown = FORMATS["markdown"](report())
    assert "| measure | base | head | change |" in shown
    assert "| parameters | 80,000 | 50,000 | -37.5 % |" in shown
    assert "| duplicates at tau 1 | 20.0 % | 10.0 % | -10.00 points |" in shown
    assert "| accuracy | 96.00 % | 95.00 % | -1.00 points |" in shown
    assert "| latency | 2 ms | 1.5 ms | -25.0 % |" in shown
    assert "❌ failed: removable" in shown and "❌ inconclusive: accuracy drop" in shown


def test_without_a_base_there_are_values_only() -> None:
    model = replace(report().models[0], facts=facts(base=None))
    shown = FORMATS["markdown"](replace(report(), models=(model,)))
    assert "| measure | value |" in shown and "base" not in shown.split("❌")[0]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_text_keeps_to_the_width(width: int) -> None:
    shown = text.render(of_check(report()), width=width)
    assert max(map(len, shown.splitlines())) <= width and "could not be judged" in " ".join(shown.split())


def test_report_files_by_suffix() -> None:
    names = ("c.json", "c.md", "c.xml", "c.sarif", "c.SARIF", "c.txt")
    assert [of_suffix(Path(n)) for n in names] == ["json", "markdown", "junit", "sarif", "sarif", "text"]


def test_outputs_of_the_action() -> None:
    assert outputs.render(report()) == "duplicate-ratio=0.100000\nsaved-bytes=0\nverdict=error\n"
    empty = replace(report(), models=())
    assert outputs.render(empty) == "duplicate-ratio=\nsaved-bytes=\nverdict=error\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ("[]", "not an onnxdup document"),
        ('{"schema": "onnxdup/check", "schema_version": "2.0"}', "schema version 2.0"),
        ('{"schema": "onnxdup/check", "schema_version": "1.0"}', "lacks the field tool"),
    ],
)
def test_archives_that_are_none(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        read_archive(path)
    assert "r.json" in str(caught.value)


def test_facts_of_a_check_are_its_own() -> None:
    assert facts_of(report()) == (facts(),)
