"""Damaged models are compared or refused in one line."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))

from corpus import corpus
from mutations import mutant

import onnxdup
from onnxdup.errors import Bug, OnnxdupError
from onnxdup.reporting.comparison.formats import FORMATS

COUNT = 60


@pytest.fixture(scope="module")
def seeds() -> list:
    return corpus()


@pytest.mark.parametrize("part", range(2))
def test_mutants_are_compared_or_refused(part: int, seeds: list, tmp_path: Path) -> None:
    compared = refused = 0
    for number in range(part * COUNT, (part + 1) * COUNT):
        found = mutant(number, seeds)
        folder = tmp_path / str(number)
        folder.mkdir()
        model = folder / "m.onnx"
        model.write_bytes(found.model)
        for name, content in found.files.items():
            (folder / name).write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                report = onnxdup.compare(model, model)
            assert all(write(report) for write in FORMATS.values())
            compared += 1
        except OnnxdupError as error:
            assert not isinstance(error, Bug) and "\n" not in str(error), found.history
            refused += 1
    assert compared > 5 and refused > 5
