"""Components folded from tiles, and the statistics that share their pass."""

from __future__ import annotations

import numpy as np
import pytest
from all_pairs import METRICS, brute_force, filters, taus
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from onnxdup.errors import UsageError
from onnxdup.similarity import (
    ONE,
    Edges,
    Partition,
    Units,
    canonical,
    components,
    edge_blocks,
    similarity_components,
    similarity_edges,
    survey,
)

PAPER_TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)


def flood(count, pairs):
    """Component of each node by plain search."""
    near = {node: set() for node in range(count)}
    for i, j in pairs:
        near[i].add(j)
        near[j].add(i)
    label, labels = -1, [-1] * count
    for start in range(count):
        if labels[start] >= 0:
            continue
        label, open_nodes = label + 1, [start]
        while open_nodes:
            node = open_nodes.pop()
            labels[node] = label
            open_nodes += [other for other in near[node] if labels[other] < 0]
    return labels


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_components_of_any_graph(count, drawn):
    pairs = [(min(p), max(p)) for p in drawn if max(p) < count and p[0] != p[1]]
    i, j = np.array(pairs, np.intp).reshape(-1, 2).T
    edges = Edges(i, j, np.ones(len(i)))
    assert components(count, edges).tolist() == flood(count, pairs)
    one_by_one = [Edges(i[k : k + 1], j[k : k + 1], np.ones(1)) for k in range(len(i))]
    assert components(count, one_by_one).tolist() == flood(count, pairs)


@given(filters(), st.lists(taus(), max_size=4), st.sampled_from(METRICS), st.sampled_from([1, 4, None]))
def test_one_pass_gives_the_components_of_every_tau(rows, several, metric, block_rows):
    streamed = similarity_components(rows, several, metric=metric, block_rows=block_rows)
    assert len(streamed) == len(several)
    for tau, labels in zip(several, streamed, strict=True):
        edges = similarity_edges(rows, tau, metric=metric)
        assert labels.tolist() == flood(len(rows), zip(edges.i, edges.j, strict=True))
        parts = edge_blocks(rows, tau, metric=metric, block_rows=2)
        np.testing.assert_array_equal(labels, components(len(rows), parts))


@given(filters(), taus(), st.sampled_from(METRICS), st.randoms(use_true_random=False))
def test_components_follow_a_permutation(rows, tau, metric, random):
    order = np.array(random.sample(range(len(rows)), len(rows)))
    (labels,) = similarity_components(rows, [tau], metric=metric)
    (moved,) = similarity_components(rows[order], [tau], metric=metric)
    np.testing.assert_array_equal(moved, canonical(labels[order]))


@pytest.mark.parametrize("tau", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("offset", [1e-9, -1e-9])
def test_components_are_decided_in_float64(tau, offset):
    """Forty pairs a billionth from tau, each in a plane of its own: float32 gets half of them wrong."""
    rng = np.random.default_rng(7)
    cosine = min(tau, ONE) + offset
    planes = np.linalg.qr(rng.standard_normal((90, 80)))[0].T.reshape(40, 2, 90)
    partners = cosine * planes[:, 0] + np.sqrt(1 - cosine**2) * planes[:, 1]
    rows = np.vstack([planes[:, 0], partners * rng.uniform(0.1, 10, (40, 1))])
    (labels,) = similarity_components(rows, [tau])
    assert (labels[:40] == labels[40:]).tolist() == [offset > 0] * 40


def test_a_layer_of_duplicates_is_one_component_at_every_tau():
    """Every pair lies inside the float32 margin of tau = 1: nearly all of them are skipped, none is lost."""
    rng = np.random.default_rng(0)
    rows = np.outer(rng.uniform(0.1, 10, 3000), rng.standard_normal(64)).astype(np.float32)
    rows[1500:] = -rows[1500:]
    for labels in similarity_components(rows, PAPER_TAUS):
        np.testing.assert_array_equal(labels, np.arange(3000) >= 1500)
    assert all(not labels.any() for labels in similarity_components(rows, PAPER_TAUS, metric="absolute"))


def test_interleaved_dense_groups_are_kept_apart():
    rng = np.random.default_rng(3)
    directions = rng.standard_normal((7, 30))
    kind = rng.integers(0, 7, 2500)
    rows = directions[kind] * rng.uniform(0.5, 2, (2500, 1)) + 1e-7 * rng.standard_normal((2500, 30))
    for labels in similarity_components(rows, (1.0, 0.95), block_rows=300):
        np.testing.assert_array_equal(labels, canonical(kind))


def test_labels_go_by_the_smallest_member():
    partition = Partition(6)
    partition.unite(np.array([5, 4]), np.array([1, 3]))
    assert partition.roots.tolist() == [0, 1, 2, 3, 3, 1]
    assert partition.labels().tolist() == [0, 1, 2, 3, 3, 1]
    assert canonical(np.array([9, 2, 9, 5])).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("count", [5, 600, 70_000])
def test_a_table_of_sets_is_their_comparison(count):
    partition = Partition(count)
    partition.unite(np.array([0, 3]), np.array([4, 2]))
    rows, cols = np.array([0, 1, 2, count - 1]), np.arange(count)
    expected = partition.apart(rows[:, None], cols[None, :])
    np.testing.assert_array_equal(partition.table(rows, cols), expected)
    assert (~expected).sum() == 6 + (count == 5)


@given(filters(), st.sampled_from([1, 3, 16, None]), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_survey_against_all_pairs(rows, block_rows, count, seed):
    blocks = np.random.default_rng(seed).integers(0, count, len(rows))
    measured = survey(rows, (0.9, 0.5), blocks=blocks, block_rows=block_rows)
    cosines = brute_force(rows)
    cosines[blocks[:, None] != blocks[None, :]] = np.nan
    np.fill_diagonal(cosines, np.nan)
    pairs = cosines[np.triu_indices(len(rows), 1)]
    pairs = pairs[np.isfinite(pairs)]
    assert measured.pairs == len(pairs) == measured.histogram.sum()
    expected = [similarity_components(rows, [tau], blocks=blocks)[0] for tau in (0.9, 0.5)]
    np.testing.assert_array_equal(measured.labels, expected)
    assert measured.components == tuple(labels.max() + 1 for labels in expected)
    below = np.cumsum(measured.histogram)
    margin = Units(rows).margin
    assert (below[:-1] >= (pairs[:, None] < measured.bin_edges[1:-1] - margin).sum(axis=0)).all()
    assert (below[:-1] <= (pairs[:, None] < measured.bin_edges[1:-1] + margin).sum(axis=0)).all()
    if len(pairs):
        assert measured.mean == pytest.approx(pairs.mean(), abs=1e-9)
        assert measured.variance == pytest.approx(pairs.var(), abs=3 * margin)
    largest = np.nanmax(np.vstack([cosines, np.full(len(rows), -2)]), axis=0)
    np.testing.assert_array_equal(measured.nearest >= 0, largest > -2)
    some = np.flatnonzero(largest > -2)
    near = measured.nearest_cosine[some]
    np.testing.assert_allclose(near, cosines[some, measured.nearest[some]], atol=1e-12)
    assert (near >= largest[some] - 2 * margin).all()
    assert np.isnan(measured.nearest_cosine[largest == -2]).all()


def test_kurtosis_is_the_moment_of_all_pairs():
    rows = np.random.default_rng(5).standard_normal((300, 20)) + 0.3
    rows[200:] = rows[:100] * 2
    pairs = brute_force(rows)[np.triu_indices(300, 1)]
    for block_rows in (None, 77):
        measured = survey(rows, block_rows=block_rows)
        assert measured.kurtosis == pytest.approx(stats.kurtosis(pairs, fisher=False), rel=1e-5)
        assert measured.variance == pytest.approx(pairs.var(), rel=1e-5)


def test_the_histogram_of_a_large_layer_counts_every_pair():
    rows = np.random.default_rng(6).standard_normal((1500, 9)).astype(np.float32)
    cosines = brute_force(rows)[np.triu_indices(1500, 1)]
    measured = survey(rows, bins=100)
    assert measured.histogram.sum() == 1500 * 1499 // 2
    expected = np.histogram(cosines, measured.bin_edges)[0]
    assert np.abs(np.cumsum(measured.histogram - expected)).max() <= 20


def test_a_layer_without_pairs_has_no_statistics():
    measured = survey(np.array([[1.0, 2.0], [0.0, 0.0], [np.nan, 1.0]]))
    assert (measured.pairs, measured.nearest.tolist()) == (0, [-1, -1, -1])
    assert np.isnan([measured.mean, measured.variance, measured.kurtosis]).all()
    assert measured.components == (3,) * 5
    assert (measured.zero.tolist(), measured.nonfinite.tolist()) == ([1], [2])


def test_equal_filters_have_no_kurtosis():
    measured = survey(np.ones((50, 8), np.float32))
    assert np.isnan(measured.kurtosis)
    assert measured.mean == pytest.approx(1)
    assert measured.histogram[-1] == measured.pairs == 1225


def test_too_many_bins_are_refused():
    with pytest.raises(UsageError, match="1 to 253 bins"):
        survey(np.ones((2, 2)), bins=254)
