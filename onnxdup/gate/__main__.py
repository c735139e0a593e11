"""`python -m onnxdup.gate`: writes `schemas/check.json` from the classes of `schema`."""

from __future__ import annotations

from onnxdup.gate.formats import SCHEMA_FILE, schema_text

SCHEMA_FILE.parent.mkdir(exist_ok=True)
SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
