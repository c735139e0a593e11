"""Intervals and tests against published values."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxdup.evaluation.statistics import _tango_score, mcnemar, newcombe, paired, tango, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_matches_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    interval = wilson(k, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_wilson_at_the_ends() -> None:
    assert wilson(10, 10).high == 1.0 and wilson(10, 10).low < 1
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_airway_reactivity() -> None:
    """Bentur et al. 2009 as analysed by Fagerland, Lydersen, Laake, Statistics in Medicine 33 (2014)
    2850-2875.
    """
    score, square_and_add = tango(1, 7, 21), newcombe(1, 1, 7, 12)
    assert (round(score.low, 3), round(score.high, 3)) == (-0.517, -0.026)
    assert (round(square_and_add.low, 3), round(square_and_add.high, 3)) == (-0.507, -0.026)
    assert round(mcnemar(1, 7), 4) == 0.0703


def test_mcnemar_is_the_binomial_tail() -> None:
    assert mcnemar(0, 0) == 1.0 and mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == 2 / 2**6
    assert mcnemar(2, 8) == pytest.approx(2 * sum(math.comb(10, i) for i in range(3)) / 2**10)


def test_without_discordant_pairs_tango_is_closed_form() -> None:
    z2 = 1.959963984540054**2
    assert tango(0, 0, 44).high == pytest.approx(z2 / (44 + z2), abs=1e-9)
    assert tango(0, 44, 44).low == -1.0 and tango(44, 0, 44).high == 1.0


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 200))
def test_tango_holds_what_the_score_test_does_not_reject(b: int, c: int, rest: int) -> None:
    n, z = b + c + rest, 1.959963984540054
    interval, estimate = tango(b, c, n), (b - c) / n
    assert -1 <= interval.low <= estimate <= interval.high <= 1
    assert _tango_score(b, c, n, interval.low) == pytest.approx(z, abs=1e-3)
    assert _tango_score(b, c, n, interval.high) == pytest.approx(-z, abs=1e-3)


@given(st.tuples(*[st.integers(0, 40)] * 4))
def test_swapping_the_models_mirrors_the_intervals(table: tuple[int, int, int, int]) -> None:
    a, b, c, d = table
    for first, second in (
        (newcombe(a, b, c, d), newcombe(a, c, b, d)),
        (tango(b, c, sum(table)), tango(c, b, sum(table))),
    ):
        assert first.low == pytest.approx(-second.high, abs=1e-9)


def test_tango_covers_as_it_promises() -> None:
    n, confidence = 30, 0.95
    for p_b, p_c in ((0.1, 0.05), (0.2, 0.2), (0.02, 0.1)):
        covered = 0.0
        for b, c in product(range(n + 1), repeat=2):
            if b + c > n:
                continue
            rest = n - b - c
            weight = math.exp(
                math.lgamma(n + 1) - math.lgamma(b + 1) - math.lgamma(c + 1) - math.lgamma(rest + 1)
            )
            weight *= p_b**b * p_c**c * (1 - p_b - p_c) ** rest
            if weight < 1e-9:
                continue
            interval = tango(b, c, n, confidence)
            covered += weight * (interval.low <= p_b - p_c <= interval.high)
        assert 0.92 < covered < 0.99


def test_paired_counts_and_decides() -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = before.copy()
    after[:3] = False
    after[95] = True
    result = paired(before, after)
    assert (result.only_before_right, result.only_after_right, result.drop) == (3, 1, 0.02)
    assert result.drop_interval.low < 0.02 < result.drop_interval.high
    assert result.drop_below(0.10) and not result.drop_below(0.03)
    assert result.p_value == mcnemar(3, 1)
