"""The similarity graph against a comparison of all pairs in extended precision."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from all_pairs import METRICS, brute_force, decided_pairs, filters, taus
from hypothesis import given
from hypothesis import strategies as st

from onnxdup.errors import UsageError
from onnxdup.similarity import ONE, Edges, Units, edge_blocks, similarity_edges


def listed(edges: Edges) -> set[tuple[int, int]]:
    return set(zip(edges.i.tolist(), edges.j.tolist(), strict=True))


@given(filters(), taus(), st.sampled_from(METRICS), st.sampled_from([1, 3, 16, None]))
def test_edges_are_those_of_all_pairs(rows, tau, metric, block_rows):
    edges = similarity_edges(rows, tau, metric=metric, block_rows=block_rows)
    surely, never = decided_pairs(rows, tau, metric)
    assert surely <= listed(edges)
    assert not never & listed(edges)
    assert (edges.i < edges.j).all()
    np.testing.assert_allclose(edges.value, brute_force(rows, metric)[edges.i, edges.j], atol=1e-12)
    assert (edges.value >= min(tau, ONE)).all()


@given(filters(), taus(), st.sampled_from(METRICS))
def test_edges_do_not_depend_on_the_block_size(rows, tau, metric):
    whole = similarity_edges(rows, tau, metric=metric)
    for block_rows in (1, 2, 5):
        parts = [*edge_blocks(rows, tau, metric=metric, block_rows=block_rows)]
        streamed = Edges.join(parts)
        np.testing.assert_array_equal(np.stack([whole.i, whole.j]), np.stack([streamed.i, streamed.j]))
        assert sum(map(len, parts)) == len(listed(whole))


@given(filters(), taus(), st.sampled_from(METRICS), st.randoms(use_true_random=False))
def test_edges_follow_a_permutation(rows, tau, metric, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    moved = similarity_edges(rows[order], tau, metric=metric)
    back = {tuple(sorted((order[i], order[j]))) for i, j in listed(moved)}
    assert back == listed(similarity_edges(rows, tau, metric=metric))


@given(filters(), taus(), st.sampled_from(METRICS), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_filters_of_different_blocks_are_never_compared(rows, tau, metric, count, seed):
    blocks = np.random.default_rng(seed).integers(0, count, len(rows))
    edges = listed(similarity_edges(rows, tau, metric=metric, blocks=blocks, block_rows=3))
    free = listed(similarity_edges(rows, tau, metric=metric))
    assert edges == {(i, j) for i, j in free if blocks[i] == blocks[j]}


@pytest.mark.parametrize("width", [3, 200, 4096])
@pytest.mark.parametrize("tau", [0.5, 0.9, 0.999, 1.0])
def test_pairs_a_hair_from_the_threshold(width, tau):
    """Planted cosines tau + e for e down to 1e-11: float32 alone cannot tell them."""
    rng = np.random.default_rng(width)
    base, other = np.linalg.qr(rng.standard_normal((width, 2)))[0].T
    offsets = np.array([s * 10.0**-k for k in range(3, 12) for s in (1, -1)])
    offsets = offsets[min(tau, ONE) + offsets <= 1]
    cosines = min(tau, ONE) + offsets
    rows = cosines[:, None] * base + np.sqrt(1 - cosines**2)[:, None] * other
    scaled = np.vstack([base, rows * rng.uniform(0.01, 100, (len(rows), 1))])
    edges = similarity_edges(scaled, tau)
    assert {j for i, j in listed(edges) if i == 0} == set((np.flatnonzero(offsets > 0) + 1).tolist())


@pytest.mark.parametrize("metric", METRICS)
def test_a_dense_graph_agrees_with_a_sparse_one(metric):
    """Many open pairs in a tile are decided by one float64 product, few by one comparison each."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1, 40)) + 1e-3 * rng.standard_normal((120, 40))
    tau = float(np.median(brute_force(rows, metric)[np.triu_indices(120, 1)]))
    dense = similarity_edges(rows, tau, metric=metric)
    pairs = itertools.combinations(range(120), 2)
    one_by_one = {p for p in pairs if len(similarity_edges(rows[list(p)], tau, metric=metric))}
    assert listed(dense) == one_by_one
    assert 1000 < len(dense) < 7140


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint8", "int64", "longdouble", ml_dtypes.bfloat16]
)
def test_every_stored_type(dtype):
    rows = np.array([[1, 2, 3], [2, 4, 6], [3, 2, 1], [0, 0, 0], [30, 20, 10]]).astype(dtype)
    assert listed(similarity_edges(rows, 1.0)) == {(0, 1), (2, 4)}
    assert listed(similarity_edges(rows, 1.0, metric="copy")) == set()


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-160, 1.0, 1e160, 1e306])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    rng = np.random.default_rng(1)
    rows = rng.integers(1, 9, (6, 5)).astype(float)
    rows[4], rows[5] = 3 * rows[0], rows[1]
    rows *= scale
    rows[1] = rows[5] * (1e-3 if scale > 1 else 1e3)
    assert listed(similarity_edges(rows, 1.0)) == {(0, 4), (1, 5)}
    assert listed(similarity_edges(rows, 0.59, metric="copy")) >= {(0, 4)}
    assert (1, 5) not in listed(similarity_edges(rows, 0.1, metric="copy"))
    np.testing.assert_allclose(Units(rows).norms() / scale, np.linalg.norm(rows / scale, axis=1), rtol=1e-3)


def test_rows_without_a_direction_have_no_edges():
    rows = np.ones((6, 3), np.float32)
    rows[1], rows[2, 1], rows[3, 0] = 0, np.nan, np.inf
    units = Units(rows)
    assert units.zero.tolist() == [1]
    assert units.nonfinite.tolist() == [2, 3]
    for metric in METRICS:
        assert listed(similarity_edges(units, 1e-9, metric=metric)) == {(0, 4), (0, 5), (4, 5)}


def test_metrics_tell_scale_and_sign():
    rows = np.array([[1.0, 1.0], [2.0, 2.0], [-1.0, -1.0], [1.0, 1.0]])
    assert listed(similarity_edges(rows, 1.0)) == {(0, 1), (0, 3), (1, 3)}
    assert listed(similarity_edges(rows, 1.0, metric="copy")) == {(0, 3)}
    assert len(similarity_edges(rows, 1.0, metric="absolute")) == 6
    assert similarity_edges(rows, 0.8, metric="copy").value.tolist() == pytest.approx([0.8, 1.0, 0.8])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 3), (3, 0)])
def test_empty_layers(shape):
    assert len(similarity_edges(np.ones(shape), 0.5)) == 0


@pytest.mark.parametrize("tau", [0.0, -0.5, 1.1, float("nan")])
def test_a_bad_tau_is_refused(tau):
    with pytest.raises(UsageError, match="tau must lie in"):
        similarity_edges(np.ones((2, 2)), tau)


def test_bad_arguments_are_refused():
    with pytest.raises(UsageError, match="rank 3"):
        similarity_edges(np.ones((2, 2, 2)), 0.9)
    with pytest.raises(UsageError, match="complex"):
        similarity_edges(np.ones((2, 2), complex), 0.9)
    with pytest.raises(UsageError, match="unknown metric 'cos'"):
        similarity_edges(np.ones((2, 2)), 0.9, metric="cos")
    with pytest.raises(UsageError, match="block ids"):
        similarity_edges(np.ones((2, 2)), 0.9, blocks=[1])


def test_the_rows_are_left_alone():
    rows = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    before = rows.copy()
    rows.setflags(write=False)
    similarity_edges(rows, 0.1, block_rows=2)
    np.testing.assert_array_equal(rows, before)
