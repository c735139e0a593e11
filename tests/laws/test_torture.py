"""Random relations planted everywhere at once: whatever the exact pass then removes, the outputs stay.

Multiples, opposites, shifts, constants, zeros and unread channels, whether the algebra allows them or not.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES, Architecture
from architectures.adversarial import ADVERSARIAL
from laws import surgeon
from laws.bench import merged, random_of
from laws.oracle import relative_error, run_runtime

from onnxdup.channels import trace
from onnxdup.graph import load
from onnxdup.reduce import merge

EVERYTHING = {**ARCHITECTURES, **ADVERSARIAL}
KINDS = ("scale", "copy", "sign", "shift", "constant", "positive constant", "zero", "silent")
SHARE = 0.6


def free_groups(model: onnx.ModelProto) -> list[object]:
    """Groups that may be merged and hold at least two channels, without hidden units of recurrent layers."""
    found = trace(load(model)).groups
    return [g for g in found if g.frozen is None and g.size >= 2 and not g.recurrences]


def tortured(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ModelProto:
    """More than half of the channels of every free group in some relation to another."""
    for group in free_groups(model):
        order, count = rng.permutation(group.size), max(1, int(group.size * SHARE))
        for target in order[:count]:
            source = int(rng.choice(order[count:]))
            rows, columns = relation(model, group, str(rng.choice(KINDS)), rng)
            model = surgeon.plant_rows(model, group, source, int(target), rows, columns)
    return model


def relation(
    model: onnx.ModelProto, group: surgeon.GroupLike, kind: str, rng: np.random.Generator
) -> tuple[surgeon.Rows, dict[str, float]]:
    """(factor and offset per tensor, factor per consumer)."""
    adds = [b.tensor for b in group.bindings if not surgeon.is_consumer(b) and surgeon.adds(model, b)]
    weights = {
        b.tensor
        for b in group.bindings
        if b.role.name == "PRODUCER" and surgeon.read(model, b.tensor).ndim > 1
    }
    offset = float(rng.normal())
    if kind in ("scale", "sign"):
        factor = -1.0 if kind == "sign" else float(rng.choice([2.0, 0.5, 1.3, -0.7, 4.0]))
        return dict.fromkeys(adds, (factor, 0.0)), {}
    if kind == "shift":
        return {name: (1.0, offset) for name in adds if name not in weights}, {}
    if kind in ("constant", "positive constant"):
        value = abs(offset) + 0.1 if kind == "positive constant" else offset
        return {name: (0.0, 0.0 if name in weights else value) for name in adds}, {}
    if kind == "zero":
        return dict.fromkeys(adds, (0.0, 0.0)), {}
    silent = {b.tensor: 0.0 for b in group.bindings if surgeon.is_consumer(b)} if kind == "silent" else {}
    return {}, silent


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_outputs_stay_whatever_is_planted(name: str, seed: int) -> None:
    entry = EVERYTHING[name]
    model = tortured(entry.model(), random_of(name, seed))
    check_outputs(entry, model)


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_a_layer_of_copies(name: str) -> None:
    """A group of copies becomes one channel, which broadcasting or Squeeze may take for something else."""
    entry = EVERYTHING[name]
    for group in free_groups(entry.model()):
        model = entry.model()
        for target in range(1, group.size):
            model = surgeon.plant(model, group, 0, target)
        check_outputs(entry, model)


def check_outputs(entry: Architecture, model: onnx.ModelProto) -> None:
    """The merged model is valid and gives the same outputs."""
    small = merged(model)
    error = relative_error(run_runtime(model, entry.feeds()), run_runtime(small, entry.feeds()))
    assert error <= max(5e-5, 2 * entry.tolerance), merge(load(model), 1.0).plan.entries
    onnx.checker.check_model(small, full_check=not entry.domains)
