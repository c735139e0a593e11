"""Every micro-architecture is a valid model that runs to finite, input-dependent outputs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from laws.oracle import relative_error, run_reference, run_runtime, widen, widen_feeds


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture_runs(name: str) -> None:
    entry = ARCHITECTURES[name]
    model = entry.model()
    onnx.checker.check_model(model)
    outputs = run_runtime(model, entry.feeds())
    assert all(np.isfinite(np.asarray(a, np.float64)).all() for a in outputs.values())
    assert relative_error(outputs, run_runtime(model, entry.feeds(seed=1))) > 1e-3


@pytest.mark.parametrize("name", [n for n, e in ARCHITECTURES.items() if e.reference])
def test_the_two_oracles_agree(name: str) -> None:
    entry = ARCHITECTURES[name]
    stored = run_runtime(entry.model(), entry.feeds())
    wide = run_reference(widen(entry.model()), widen_feeds(entry.feeds()))
    rounded = {key: value.astype(stored[key].dtype) for key, value in wide.items()}
    assert relative_error(stored, rounded) < max(1e-4, entry.tolerance)


def test_weights_follow_the_seed() -> None:
    entry = ARCHITECTURES["mlp"]
    assert entry.model(0).SerializeToString() == entry.model(0).SerializeToString()
    assert entry.model(0).SerializeToString() != entry.model(1).SerializeToString()


def test_expectations_name_existing_tensors() -> None:
    for name, entry in ARCHITECTURES.items():
        for group in entry.groups or ():
            assert group.tensor in entry.text, f"{name}: {group.tensor}"
        for plant in entry.plants:
            assert {plant.tensor, *plant.rows, *plant.columns} <= set(entry.weights), f"{name}: {plant.name}"
