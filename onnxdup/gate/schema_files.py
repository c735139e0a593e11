"""The JSON Schema files of `check` and `doctor`, generated from their classes and shipped in the wheel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from onnxdup.gate import schema
from onnxdup.reporting import environment
from onnxdup.reporting.codec import json_schema

FOLDER = Path(__file__).parent / "schemas"
_DOCUMENTS: tuple[tuple[str, type[Any], str], ...] = (
    ("check", schema.CheckReport, schema.SCHEMA_VERSION),
    ("doctor", environment.Environment, environment.SCHEMA_VERSION),
)


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON Schema, one per document."""
    return {
        f"{name}.json": json_schema(
            cls,
            title=f"onnxdup/{name} {version}",
            identifier=f"urn:onnxdup:{name}:{version.partition('.')[0]}",
        )
        for name, cls, version in _DOCUMENTS
    }


def text(content: dict[str, Any]) -> str:
    """Content of a schema file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> None:
    """Writes every schema file into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in schemas().items():
        (folder / name).write_text(text(content), encoding="utf-8")
