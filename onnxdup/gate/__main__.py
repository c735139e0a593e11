"""`python -m onnxdup.gate`: writes the JSON Schema files of `schemas/` from the classes of the documents."""

from __future__ import annotations

from onnxdup.gate.schema_files import FOLDER, schemas
from onnxdup.reporting.schema_files import write

write(FOLDER, schemas())
