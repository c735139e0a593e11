"""Known accuracies come out again, exactly merged models keep them, planted duplicates cost none."""

from __future__ import annotations

from typing import Any

import pytest
from accuracy import NoData, _top1, accuracies, data_for, labelled
from zoo_files import FOLDER, entries
from zoo_laws import specimen, unexpected

from onnxdup.graph import load
from onnxdup.reduce import merge

MODELS = [pytest.param(m, id=m["name"]) for m in labelled()] or [
    pytest.param({}, marks=pytest.mark.skip(f"no models in {FOLDER} (set ONNXDUP_ZOO)"))
]
each = pytest.mark.parametrize("model", MODELS)


@each
def test_published_accuracies_come_out_again(model: dict[str, Any]) -> None:
    """Before merging as the manifest says; after the exact pass the same images are right, to rounding."""
    known = model["accuracy"]
    try:
        found = accuracies(model, (1.0,))
    except NoData as why:
        pytest.skip(str(why))
    assert found[None][1] == pytest.approx(known["acc"], abs=0.5 / known["n"])
    assert found[1.0][1] == pytest.approx(found[None][1], abs=(1.5 if found[1.0][0] else 0.5) / known["n"])


@each
def test_planted_duplicates_go_without_a_change_of_accuracy(model: dict[str, Any]) -> None:
    """Real images, real weights, duplicates in every free group."""
    entry = next(e for e in entries() if e.name == model["name"])
    found = specimen(entry)
    planted, counts = found.planted(scaled=False)
    if not counts:
        pytest.skip("no group is free")
    before = load(planted)
    try:
        data = data_for(model, before)
    except NoData as why:
        pytest.skip(str(why))
    reduction = merge(before, 1.0, input_shapes=entry.shapes)
    assert not unexpected(found, counts, reduction)
    assert _top1(reduction.document, data) == pytest.approx(_top1(before, data), abs=2.5 / len(data[1]))
