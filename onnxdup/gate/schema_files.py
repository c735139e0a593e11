"""The JSON Schema files of `check` and `doctor`, generated from their classes and shipped in the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnxdup.gate import schema
from onnxdup.reporting import environment
from onnxdup.reporting.schema_files import described

FOLDER = Path(__file__).parent / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON Schema, one per document."""
    return {
        "check.json": described("onnxdup/check", schema.CheckReport, schema.SCHEMA_VERSION),
        "doctor.json": described("onnxdup/doctor", environment.Environment, environment.SCHEMA_VERSION),
    }
