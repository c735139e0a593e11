"""Sketches find the pairs of almost equal direction that comparing all pairs finds."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.similarity import Units, components, edge_blocks, similarity_components
from onnxdup.similarity.sketches import FEWEST, near_pairs, worthwhile


def planted(count: int, width: int, seed: int, dtype: type = np.float32) -> np.ndarray:
    """Random rows, some of which are copies, scaled, negated or off by about the tolerance."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, width))
    for k in range(0, count // 4, 2):
        noise = rng.choice((0.0, 1e-8, 3e-6, 1e-5, 1e-3)) * rng.standard_normal(width)
        rows[count - 1 - k] = rng.choice((1.0, -1.0, 0.3, 1e4)) * (rows[k] + noise)
    rows[5] = 0
    return rows.astype(dtype)


@pytest.mark.parametrize("metric", ["cosine", "absolute", "copy"])
@pytest.mark.parametrize("tau", [1.0, 1 - 1e-6, 1 - 1e-9, 1 - 1e-12])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_components_as_all_pairs(metric: str, tau: float, seed: int) -> None:
    rows = planted(FEWEST + 200, 48 + 100 * seed, seed)
    units = Units(rows)
    assert worthwhile(units, min(tau, 1 - 1e-6))
    found = similarity_components(rows, [tau], metric=metric)[0]
    brute = components(len(rows), edge_blocks(rows, tau, metric=metric))
    assert (found == brute).all()
    assert found.max() + 1 < len(rows), "something was planted"


def test_blocks_are_kept_apart() -> None:
    rows = planted(FEWEST + 100, 64, 7)
    blocks = np.arange(len(rows)) % 3
    found = similarity_components(rows, [1.0], blocks=blocks)[0]
    assert (found == components(len(rows), edge_blocks(rows, 1.0, blocks=blocks))).all()


def test_many_equal_rows_are_left_to_the_tiles() -> None:
    rows = np.tile(np.random.default_rng(0).standard_normal((2, 64)), (FEWEST, 1))
    assert near_pairs(Units(rows), 1 - 1e-6) is None
    assert similarity_components(rows, [1.0])[0].max() == 1


def test_low_thresholds_are_not_worth_it() -> None:
    units = Units(planted(FEWEST + 100, 64, 1))
    assert not worthwhile(units, 0.9)
    assert not worthwhile(Units(units.rows[:100]), 1.0)
