"""Published models for the tests that need them: the folder ONNXDUP_ZOO, skipped where it is not set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def published(name: str) -> Path:
    """A file of the folder of published models."""
    folder = os.environ.get("ONNXDUP_ZOO", "")
    path = Path(folder) / name
    if not folder or not path.is_file():
        pytest.skip(f"set ONNXDUP_ZOO to a folder with {name}")
    return path
