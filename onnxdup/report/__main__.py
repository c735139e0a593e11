"""`python -m onnxdup.report`: writes the JSON Schema files of `schemas/` from the dataclasses of `schema`."""

from __future__ import annotations

from onnxdup.report.schema_files import write

write()
