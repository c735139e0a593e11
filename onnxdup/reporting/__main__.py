"""`python -m onnxdup.reporting`: writes the JSON Schema files of `schemas/` from the classes of `schema`."""

from __future__ import annotations

from onnxdup.reporting.schema_files import FOLDER, schemas, write

write(FOLDER, schemas())
