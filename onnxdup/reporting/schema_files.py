"""The JSON Schema files shipped in the wheel, generated from the dataclasses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxdup.reporting import search_schema
from onnxdup.reporting.codec import json_schema
from onnxdup.reporting.comparison import schema as comparison
from onnxdup.reporting.schema import DOCUMENTS, SCHEMA_VERSION

FOLDER = Path(__file__).parent / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON Schema, one per document."""
    found = {name: described(name, cls, SCHEMA_VERSION) for name, cls in DOCUMENTS.items()}
    for name, cls in search_schema.DOCUMENTS.items():
        found[name] = described(name, cls, search_schema.SCHEMA_VERSION)
    kind = comparison.ComparisonReport
    found["onnxdup/comparison"] = described("onnxdup/comparison", kind, comparison.SCHEMA_VERSION)
    return {f"{name.partition('/')[2]}.json": schema for name, schema in found.items()}


def text(schema: dict[str, Any]) -> str:
    """Content of a schema file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path, contents: Mapping[str, dict[str, Any]]) -> None:
    """Writes schema files, by their names, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in contents.items():
        (folder / name).write_text(text(schema), encoding="utf-8")


def described(name: str, cls: type[Any], version: str) -> dict[str, Any]:
    """The JSON Schema of the document that `cls` describes."""
    major = version.partition(".")[0]
    return json_schema(cls, title=f"{name} {version}", identifier=f"urn:{name.replace('/', ':')}:{major}")
