"""Singular values and what is read from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxdup.similarity import energy_rank, row_norms, spectrum


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1e-200, 1.0, 1e200])
)
def test_singular_values_are_those_of_lapack(n, m, seed, scale):
    rows = np.random.default_rng(seed).standard_normal((n, m))
    expected = np.linalg.svd(rows, compute_uv=False)
    np.testing.assert_allclose(spectrum(rows * scale).values / scale, expected, atol=1e-13 * expected[0])


@pytest.mark.parametrize("shape", [(5000, 20), (20, 5000), (300, 299)])
def test_small_singular_values_survive_folding(shape):
    rng = np.random.default_rng(0)
    least = min(shape)
    left = np.linalg.qr(rng.standard_normal((shape[0], least)))[0]
    right = np.linalg.qr(rng.standard_normal((shape[1], least)))[0]
    values = np.geomspace(1, 1e-11, least)
    found = spectrum((left * values) @ right.T)
    np.testing.assert_allclose(found.values, values, atol=1e-14)
    assert found.shape == shape
    assert found.trace_complexity == pytest.approx(values.sum() / np.sqrt(shape[0] * shape[1]))


def test_energy_rank_holds_ninety_nine_percent():
    assert energy_rank([1.0]) == 1
    assert energy_rank([0.0, 0.0]) == 0
    assert energy_rank([]) == 0
    assert energy_rank(np.sqrt([0.98, 0.015, 0.005])) == 2
    assert energy_rank(np.sqrt([0.5, 0.495, 0.005])[::-1] * 1e250) == 2
    assert energy_rank(np.ones(100)) == 99
    assert energy_rank(np.ones(10), share=1.0) == 10


def test_norms_of_a_layer():
    rows = np.array([[3.0, -4.0], [0.0, 0.0], [1.0, 1.0]], np.float16)
    assert row_norms(rows).tolist() == pytest.approx([5, 0, 2**0.5])
    assert row_norms(rows, 1).tolist() == [7, 0, 2]
    found = spectrum(rows)
    assert found.frobenius_norm == pytest.approx(27**0.5)
    assert found.spectral_norm == pytest.approx(np.linalg.norm(rows.astype(float), 2))


def test_whole_numbers_and_non_finite_rows():
    rows = np.array([[3, 0], [0, 4], [0, 0]], np.int8)
    assert spectrum(rows).values.tolist() == pytest.approx([4, 3])
    spoiled = np.vstack([rows.astype(np.float32), [[np.nan, np.inf]]])
    assert spectrum(spoiled).values.tolist() == pytest.approx([4, 3])


def test_layers_without_content():
    assert spectrum(np.zeros((3, 4))).energy_rank == 0
    assert spectrum(np.zeros((3, 4))).frobenius_norm == 0
    assert spectrum(np.zeros((0, 4))).trace_complexity == 0
