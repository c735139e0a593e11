"""SV-CCA on known answers: the same, a mixed and a random subspace; chance as the random matrices say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxdup.similarity.correlation import (
    canonical_correlations,
    centred,
    chance_correlation,
    subspace,
)

RNG = np.random.default_rng(0)


def decaying(variables: int, samples: int) -> np.ndarray:
    """Rows with a spectrum that 99 % of the energy cuts short, not centred."""
    basis = np.linalg.qr(RNG.normal(size=(samples, variables)))[0]
    scales = 0.8 ** np.arange(variables)
    return RNG.normal(size=(variables, variables)) @ (scales[:, None] * basis.T) + 3.0


def svcca(x: np.ndarray, y: np.ndarray, energy: float = 0.99) -> np.ndarray:
    return canonical_correlations(subspace(x, energy), subspace(y, energy))


@pytest.mark.parametrize("shape", [(20, 300), (60, 40), (5, 4000)])
def test_identical_rows_give_one(shape: tuple[int, int]) -> None:
    rows = RNG.normal(size=shape)
    assert svcca(rows, rows) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("samples", [60, 900])
def test_rotation_scale_and_shift_change_nothing(samples: int) -> None:
    rows = decaying(20, samples)
    turned = 7 * np.linalg.qr(RNG.normal(size=(20, 20)))[0] @ rows - 5
    assert subspace(rows).shape[1] < 20
    assert svcca(rows, turned) == pytest.approx(1, abs=1e-7)


def test_any_invertible_mix_gives_one_where_all_energy_is_kept() -> None:
    rows = decaying(20, 100)
    mixed = RNG.normal(size=(20, 20)) @ rows
    assert svcca(rows, mixed, 1.0) == pytest.approx(1, abs=1e-6)
    assert svcca(rows, mixed, 0.99).min() < 0.999  # the cut at 99 % is not invariant


def test_a_wider_set_that_contains_the_narrow_one() -> None:
    rows = RNG.normal(size=(10, 200))
    both = svcca(rows, np.concatenate([rows, RNG.normal(size=(15, 200))]), 1.0)
    assert both.shape == (10,) and both == pytest.approx(1, abs=1e-9)


def test_correlations_are_those_of_the_covariances() -> None:
    """Against the textbook form: singular values of C_xx^-1/2 C_xy C_yy^-1/2."""
    x, y = RNG.normal(size=(4, 300)), RNG.normal(size=(6, 300))
    y[:2] += x[:2]

    def whitened(rows: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(np.cov(rows))
        return (vectors / np.sqrt(values)).T @ centred(rows)

    expected = np.linalg.svd(whitened(x) @ whitened(y).T / 299, compute_uv=False)
    assert svcca(x, y, 1.0) == pytest.approx(expected, abs=1e-10)
    assert expected[1] > 0.5 > expected[2]


@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99])
def test_the_subspace_holds_the_energy_and_no_direction_more(energy: float) -> None:
    for rows in (decaying(20, 30), decaying(20, 500)):
        basis, data = subspace(rows, energy), centred(rows)
        assert basis.T @ basis == pytest.approx(np.eye(basis.shape[1]), abs=1e-9)
        held = [((data @ basis[:, :k]) ** 2).sum() / (data**2).sum() for k in range(basis.shape[1] + 1)]
        assert held[-1] >= energy - 1e-12 and held[-2] < energy


@pytest.mark.parametrize(
    ("first", "second", "samples"),
    [(3, 5, 20), (5, 5, 20), (10, 20, 100), (50, 50, 100), (60, 50, 100), (5, 100, 900), (80, 80, 800)],
)
def test_chance_is_the_mean_of_random_subspaces(first: int, second: int, samples: int) -> None:
    drawn = [
        svcca(RNG.normal(size=(first, samples + 1)), RNG.normal(size=(second, samples + 1)), 1.0)
        for _ in range(12)
    ]
    values = np.array(drawn)
    few, many = sorted((first, second))
    squares = (values**2).sum(axis=1).mean() / few  # its expectation is many / samples exactly
    assert squares == pytest.approx(many / samples, rel=0.12)
    assert values.mean() == pytest.approx(chance_correlation(first, second, samples), abs=0.03)


def test_chance_at_the_limits() -> None:
    assert chance_correlation(3, 9, 9) == 1
    assert math.isnan(chance_correlation(0, 5, 9))
    assert chance_correlation(7, 5, 30) == chance_correlation(5, 7, 30)
    assert 0.5 < chance_correlation(6, 6, 9) < 1  # three correlations are forced to 1


@pytest.mark.parametrize("rows", [np.zeros((3, 5)), np.ones((3, 5)), np.full((2, 5), np.nan)])
def test_rows_that_do_not_vary_span_nothing(rows: np.ndarray) -> None:
    assert subspace(rows).shape == (5, 0)
    assert svcca(rows, RNG.normal(size=(2, 5))).shape == (0,)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_scales(scale: float) -> None:
    rows = RNG.normal(size=(4, 50))
    assert svcca(rows, rows * scale) == pytest.approx(1, abs=1e-9)
