"""Schema: lossless JSON round trip, null for non-finite numbers, shipped JSON Schema files up to date."""

from __future__ import annotations

import json
import math
from importlib.resources import files

import jsonschema
import pytest
from report_examples import DOCUMENTS, merge, report, verification

from onnxdup.errors import InputError
from onnxdup.reporting import codec, schema_files
from onnxdup.reporting.formats import from_json, to_json
from onnxdup.reporting.schema import Artefact, MergeReport

KINDS = [d.schema for d in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_json_round_trip(document: Artefact) -> None:
    text = to_json(document)
    assert to_json(from_json(text)) == text
    assert type(from_json(text)) is type(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_documents_validate_against_the_shipped_schema(document: Artefact) -> None:
    name = f"{document.schema.partition('/')[2]}.json"
    shipped = json.loads((files("onnxdup.reporting") / "schemas" / name).read_text())
    jsonschema.Draft202012Validator.check_schema(shipped)
    jsonschema.validate(json.loads(to_json(document)), shipped)


@pytest.mark.parametrize("name", sorted(schema_files.schemas()))
def test_shipped_schema_files_are_current(name: str) -> None:
    expected = schema_files.text(schema_files.schemas()[name])
    assert (schema_files.FOLDER / name).read_text() == expected, "run `python -m onnxdup.reporting`"


def test_schema_refuses_unknown_keys_and_wrong_types() -> None:
    shipped = schema_files.schemas()["report.json"]
    good = codec.to_dict(report())
    for bad in ({**good, "extra": 1}, {**good, "models": 3}, {k: v for k, v in good.items() if k != "tool"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, shipped)


def test_non_finite_numbers_are_null_and_read_back_as_nan() -> None:
    data = json.loads(to_json(verification()))
    assert data["fidelity"][0]["max_absolute_error"] is None
    back = from_json(to_json(verification()))
    assert math.isnan(back.fidelity[0].max_absolute_error)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": [{}]}, "models[0].model"),
        ({"tool": {"name": "onnxdup", "version": 1}}, "tool.version"),
        ({"schema": "onnxdup/other"}, "schema"),
        ({"schema": ["onnxdup/report"]}, "schema"),
        ({"schema_version": "2.0"}, "schema version 2.0"),
        ({"failures": "none"}, "failures"),
    ],
)
def test_wrong_documents_name_the_field(change: dict[str, object], message: str) -> None:
    data = {**codec.to_dict(report()), **change}
    with pytest.raises(InputError, match=message.replace("[", r"\[").replace("]", r"\]")):
        from_json(json.dumps(data))


def test_fields_with_defaults_may_be_missing() -> None:
    data = codec.to_dict(merge())
    del data["notes"]
    assert codec.from_dict(MergeReport, data) == merge()


def test_not_json() -> None:
    with pytest.raises(InputError, match="not JSON"):
        from_json("{")
