"""Matching filters up to order, sign and scale, against brute force and against what chance gives."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from onnxdup.errors import UsageError
from onnxdup.similarity import matching
from onnxdup.similarity.matching import best_match, chance_match

RNG = np.random.default_rng(0)


def test_order_sign_and_scale_are_undone() -> None:
    rows = RNG.normal(size=(30, 12))
    order, scale = RNG.permutation(30), RNG.choice([-1, 1], 30) * np.exp(RNG.normal(size=30))
    found = best_match(rows, (rows * scale[:, None])[order])
    assert (order[found.second] == found.first).all() and (found.first == np.arange(30)).all()
    assert found.cosine == pytest.approx(np.sign(scale), abs=1e-12)


def test_the_sum_is_the_largest_of_all_orders() -> None:
    for _ in range(5):
        a, b = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b)]
        size = np.abs(unit[0] @ unit[1].T)
        best = max(size[np.arange(5), list(p)].sum() for p in permutations(range(5)))
        assert np.abs(best_match(a, b).cosine).sum() == pytest.approx(best)


def test_of_different_widths_the_narrow_one_is_matched_whole() -> None:
    rows = RNG.normal(size=(9, 20))
    wide = np.concatenate([RNG.normal(size=(6, 20)), rows])
    found = best_match(rows, wide)
    assert (found.second == np.arange(6, 15)).all() and found.cosine == pytest.approx(1)
    back = best_match(wide, rows)
    assert (back.first == np.arange(6, 15)).all() and (back.second == np.arange(9)).all()


def test_filters_without_direction_are_in_no_pair() -> None:
    rows = RNG.normal(size=(5, 6))
    rows[1], rows[3] = 0, np.nan
    found = best_match(rows, rows)
    assert found.first.tolist() == found.second.tolist() == [0, 2, 4]


def test_filters_of_different_blocks_are_never_matched() -> None:
    rows = RNG.normal(size=(6, 8))
    swapped = rows[[3, 4, 5, 0, 1, 2]]
    ids = np.repeat([0, 1], 3)
    apart = best_match(rows, swapped, first_blocks=ids, second_blocks=ids)
    assert (ids[apart.first] == ids[apart.second]).all()
    assert np.abs(apart.cosine).max() < 0.999
    assert best_match(rows, swapped).cosine == pytest.approx(1)


def test_a_block_of_one_filter_is_matched_too() -> None:
    rows = RNG.normal(size=(3, 8))
    ids = np.arange(3)
    found = best_match(rows, -rows, first_blocks=ids, second_blocks=ids)
    assert found.cosine == pytest.approx(-1)


def test_chance_shrinks_with_the_dimensions_and_grows_with_the_filters() -> None:
    means = [chance_match(40, 40, width, draws=3).mean() for width in (4, 16, 64, 256, 1024)]
    assert means == sorted(means, reverse=True)
    assert chance_match(40, 400, 64).mean() > chance_match(40, 40, 64).mean()


def test_chance_is_that_of_random_directions_and_depends_on_the_seed_alone() -> None:
    drawn = [np.abs(best_match(*RNG.normal(size=(2, 60, 30))).cosine).mean() for _ in range(5)]
    assert chance_match(60, 60, 30, draws=5).mean() == pytest.approx(np.mean(drawn), abs=0.02)
    assert (chance_match(9, 8, 5, seed=1) == chance_match(9, 8, 5, seed=1)).all()
    assert (chance_match(9, 8, 5, seed=1) != chance_match(9, 8, 5, seed=2)).any()


def test_many_dimensions_are_scaled_from_few(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = chance_match(80, 80, 1500, draws=3).mean()
    monkeypatch.setattr(matching, "_DRAWN", 1500)
    assert quick == pytest.approx(chance_match(80, 80, 1500, draws=3).mean(), rel=0.03)


def test_what_cannot_be_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="of 3 and of 4 weights"):
        best_match(np.ones((2, 3)), np.ones((2, 4)))
    monkeypatch.setattr(matching, "LARGEST", 3)
    with pytest.raises(UsageError, match="more than 3 filters"):
        best_match(np.ones((4, 3)), np.ones((2, 3)))
    assert len(best_match(np.zeros((2, 3)), np.ones((2, 3))).first) == 0
