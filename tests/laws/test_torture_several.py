"""Combinations of several channels planted in every micro-architecture: whatever goes, the outputs stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from laws import surgeon
from laws.bench import random_of
from laws.test_torture import EVERYTHING, check_outputs, free_groups

from onnxdup.graph import load
from onnxdup.reduce import merge
from onnxdup.reporting.ledger import derive, ledger_of

FEWEST = 4


def mixtures(size: int, kind: str, rng: np.random.Generator) -> np.ndarray:
    """(size, size): each channel as a combination of the first ones, in random order."""
    free = max(1, size // 3 if kind == "pairs" else size // 2)
    rest = size - free
    matrix = np.zeros((size, size))
    matrix[:free, :free] = np.eye(free)
    if kind == "dependent":
        matrix[free:, :free] = rng.uniform(0.3, 1, (rest, free)) * rng.choice([-1, 1], (rest, free))
    else:
        half = (size + 1) // 2
        mixed = rng.uniform(0.3, 1, (half - free, free)) * rng.choice([-1, 1], (half - free, free))
        matrix[free:half, :free] = mixed
        factor = rng.choice([1.0, 1.0, 2.0]) if rng.random() < 0.5 else 1.0
        matrix[half:] = -factor * matrix[: size - half]
    order = rng.permutation(size)
    return matrix[order][:, order]


def mixed(
    model: onnx.ModelProto, group: surgeon.GroupLike, kind: str, rng: np.random.Generator
) -> onnx.ModelProto:
    """Rows, biases and means become combinations; what multiplies becomes the same for all channels.

    Every third time biases stay as they were, so that the combinations lack constants.
    """
    planted, matrix, level = surgeon.copy_of(model), mixtures(group.size, kind, rng), rng.random() < 0.3
    for binding in group.bindings:
        if surgeon.is_consumer(binding) or binding.block is not None:
            continue
        name = surgeon.own(planted, binding)
        stored = surgeon.read(planted, name).copy()
        if stored.dtype.kind != "f" or stored.dtype.itemsize < 4:
            continue
        rows = surgeon.by_channel(stored, binding)
        own = rows[binding.index].astype(np.float64)
        if not surgeon.adds(planted, binding):
            own = np.broadcast_to(own[:1], own.shape)
        elif stored.ndim > 1 or not level:
            own = np.tensordot(matrix, own, 1)
        rows[binding.index] = own.astype(stored.dtype)
        surgeon.store(planted, name, stored)
    return planted


@pytest.mark.parametrize("kind", ["dependent", "pairs"])
@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_outputs_stay_whatever_is_combined(name: str, kind: str) -> None:
    entry = EVERYTHING[name]
    model, rng = entry.model(), random_of(name, kind)
    for group in free_groups(model):
        if group.size >= FEWEST and not group.recurrences:
            model = mixed(model, group, kind, rng)
    check_outputs(entry, model)
    source = load(model)
    found = merge(source, 1.0)
    assert derive(source, found.document, ledger_of(found.plan, 4.0)).status == "passed"
