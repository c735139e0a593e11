"""Backward elimination of blocks against the definition: solving again for what is left."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.merging.selection import blocks


def errors_without(moment: np.ndarray, outgoing: np.ndarray, kept: list[int], taps: int) -> float:
    """Least squared error of the readers from the channels `kept` alone, with their weights free."""
    places = np.concatenate([np.arange(taps) + k * taps for k in kept]) if kept else np.zeros(0, int)
    inner = moment[np.ix_(places, places)]
    free = outgoing @ moment[:, places] @ np.linalg.inv(inner) if kept else np.zeros((len(outgoing), 0))
    power = np.einsum("oi,ij,oj->", outgoing, moment, outgoing)
    return float(power - np.einsum("oi,oi->", free @ inner, free))


@pytest.mark.parametrize(("n", "taps", "outputs"), [(9, 1, 4), (7, 4, 3), (30, 9, 5)])
def test_every_removal_is_the_cheapest_and_costs_what_it_says(n: int, taps: int, outputs: int) -> None:
    random = np.random.default_rng(n)
    samples = (
        random.normal(size=(n * taps, 2 * n * taps)) * np.repeat(random.uniform(0.2, 2, n), taps)[:, None]
    )
    moment = samples @ samples.T / samples.shape[1]
    outgoing = random.normal(size=(outputs, n * taps))
    sequence, cost = blocks.eliminate(np.linalg.inv(moment), outgoing, taps, 2)
    left, error = list(range(n)), 0.0
    for gone, paid in zip(sequence.tolist(), cost.tolist(), strict=True):
        tried = {k: errors_without(moment, outgoing, [c for c in left if c != k], taps) for k in left}
        assert tried[gone] == pytest.approx(min(tried.values()), rel=1e-6)
        assert paid == pytest.approx(tried[gone] - error, rel=1e-5, abs=1e-8)
        left.remove(gone)
        error = tried[gone]
    assert len(left) == 2
