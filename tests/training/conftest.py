"""The training package is not installed: these tests import it from the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def digits():
    """The first 300 training digits, and the held-out ones."""
    from training.data import load_dataset

    return load_dataset("digits", limit=300)
