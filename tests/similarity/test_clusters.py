"""Complete linkage keeps tau's meaning: every pair of a cluster reaches it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from all_pairs import METRICS, brute_force, filters, taus
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from onnxdup.errors import UsageError
from onnxdup.similarity import (
    ONE,
    Units,
    canonical,
    complete_linkage,
    complete_linkage_to,
    leaders,
    similarity_components,
    similarity_edges,
    smallest_cosine,
)

LIMITS = st.sampled_from([2, 5, 20_000])


def clusters(labels):
    return [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]


@given(filters(), taus(), st.sampled_from(METRICS), LIMITS, st.booleans(), st.integers(1, 2))
def test_every_pair_in_a_cluster_reaches_tau(rows, tau, metric, limit, give_edges, count):
    units, blocks = Units(rows), np.arange(len(rows)) % count
    edges = similarity_edges(units, tau, metric=metric, blocks=blocks) if give_edges else None
    labels = complete_linkage(units, tau, edges, metric=metric, blocks=blocks, dense_limit=limit)
    np.testing.assert_array_equal(labels, canonical(labels))
    for members in clusters(labels):
        i, j = np.array([*itertools.combinations(members, 2)], np.intp).reshape(-1, 2).T
        assert (units.similarity(i, j, metric) >= min(tau, ONE)).all()
        assert len(set(blocks[members])) == 1
    (parts,) = similarity_components(units, [tau], metric=metric, blocks=blocks)
    assert all(len(set(parts[members])) == 1 for members in clusters(labels))


@given(filters(), taus(), st.sampled_from(METRICS))
def test_the_components_do_not_change_complete_linkage(rows, tau, metric):
    """Clustering each component is clustering everything (where no two distances tie)."""
    rows = rows[Units(rows).valid].astype(np.float64)
    rows += 0.05 * np.random.default_rng(0).standard_normal(rows.shape)
    if len(rows) < 2 or rows.shape[1] < 3:
        return
    distance = 1 - brute_force(rows, metric)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "complete")
    expected = fcluster(tree, 1 - min(tau, ONE), "distance")
    np.testing.assert_array_equal(complete_linkage(rows, tau, metric=metric), canonical(expected))


@given(filters(), taus(), st.sampled_from(METRICS))
def test_given_edges_change_nothing(rows, tau, metric):
    edges = similarity_edges(rows, tau, metric=metric)
    alone, given_edges = (complete_linkage(rows, tau, e, metric=metric) for e in (None, edges))
    np.testing.assert_array_equal(alone, given_edges)


def test_a_chain_is_one_component_and_several_clusters():
    angle = np.deg2rad(np.arange(0, 90, 10))
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    tau = np.cos(np.deg2rad(21))
    assert similarity_components(rows, [tau])[0].max() == 0
    labels = complete_linkage(rows, tau)
    assert labels.max() >= 2
    assert (smallest_cosine(rows, labels) >= tau).all()
    assert smallest_cosine(rows, np.zeros(9, int)) == pytest.approx(np.cos(np.deg2rad(80)))


@pytest.mark.parametrize("metric", METRICS)
def test_large_components_are_split_by_leaders_without_losing_the_promise(metric):
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((20, 6))[rng.integers(0, 20, 2500)]
    rows += 0.15 * rng.standard_normal(rows.shape)
    rows *= rng.uniform(0.9, 1.1, (2500, 1))
    labels = complete_linkage(rows, 0.9, metric=metric, dense_limit=50)
    dense = complete_linkage(rows, 0.9, metric=metric)
    assert (smallest_cosine(rows, labels, metric=metric) >= 0.9).all()
    assert dense.max() <= labels.max() < 1500


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("height", [1, 2, 1024])
def test_the_radius_of_a_leader_is_exact(metric, height, monkeypatch):
    """Members on opposite sides of a leader, a hair inside and a hair outside half the angle of tau."""
    monkeypatch.setattr(Units, "block_rows", lambda *_: height)
    half = np.arccos(0.9) / 2
    for off, expected in ((-1e-4, 0), (1e-7, 1)):
        angle = np.array([0.0, half + off, -half - off])
        rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        labels = complete_linkage(rows, 0.9, metric=metric, dense_limit=2)
        assert (smallest_cosine(rows, labels, metric=metric) >= 0.9).all()
        assert metric == "copy" or (labels.max() > 0) == expected


def test_exact_duplicates_form_their_clusters_whatever_the_limit():
    rng = np.random.default_rng(4)
    kind = rng.integers(0, 40, 1500)
    rows = (rng.standard_normal((40, 16))[kind] * 2.0 ** rng.integers(-3, 4, (1500, 1))).astype(np.float32)
    for limit in (3, 20_000):
        np.testing.assert_array_equal(complete_linkage(rows, 1.0, dense_limit=limit), canonical(kind))
        opposite = rows * rng.choice([-1, 1], (1500, 1))
        found = complete_linkage(opposite, 1.0, metric="absolute", dense_limit=limit)
        np.testing.assert_array_equal(found, canonical(kind))


@given(filters(), st.sampled_from(METRICS), st.integers(1, 3), st.data())
def test_a_target_count_is_met_exactly(rows, metric, count, data):
    blocks = np.arange(len(rows)) % count
    valid = Units(rows).valid
    fewest = len(rows) - len(valid) + len(set(blocks[valid]))
    k = data.draw(st.integers(fewest, len(rows)))
    labels = complete_linkage_to(rows, k, metric=metric, blocks=blocks)
    assert labels.max() + 1 == k
    np.testing.assert_array_equal(labels, canonical(labels))
    assert all(len(set(blocks[members])) == 1 for members in clusters(labels))
    with pytest.raises(UsageError, match=f"{fewest} to {len(rows)}"):
        complete_linkage_to(rows, fewest - 1, metric=metric, blocks=blocks)


def test_a_target_count_is_a_cut_of_complete_linkage():
    rows = np.random.default_rng(8).standard_normal((60, 10))
    distance = 1 - brute_force(rows)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "complete")
    for k in (1, 2, 17, 59, 60):
        expected = canonical(fcluster(tree, k, "maxclust"))
        np.testing.assert_array_equal(complete_linkage_to(rows, k), expected)


def test_a_target_count_needs_a_dense_matrix():
    with pytest.raises(UsageError, match="give tau instead"):
        complete_linkage_to(np.eye(5), 2, dense_limit=4)


@given(filters(), st.sampled_from(METRICS), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_smallest_cosine_is_that_of_all_pairs(rows, metric, count, seed):
    labels = canonical(np.random.default_rng(seed).integers(0, count, len(rows)))
    similarity = np.nan_to_num(brute_force(rows, metric), nan=0, posinf=0, neginf=0)
    np.fill_diagonal(similarity, 1)
    expected = [similarity[np.ix_(members, members)].min() for members in clusters(labels)]
    np.testing.assert_allclose(smallest_cosine(rows, labels, metric=metric), expected, atol=1e-12)


def test_smallest_cosine_crosses_block_borders():
    rows = np.random.default_rng(1).standard_normal((1100, 3))
    labels = np.zeros(1100, int)
    assert smallest_cosine(rows, labels) == pytest.approx(brute_force(rows).min(), abs=1e-12)


def test_leaders_ask_only_about_leaders():
    asked = []

    def same(head, others):
        asked.append((head, others.tolist()))
        return np.abs(others - head) <= 2

    assert leaders(np.array([1, 3, 4, 8, 5]), same).tolist() == [1, 1, 4, 8, 4]
    assert asked == [(1, [3, 4, 8, 5]), (4, [8, 5])]
    assert leaders(np.array([], int), same).tolist() == []


def test_bad_labels_are_refused():
    with pytest.raises(UsageError, match="labels must have shape"):
        smallest_cosine(np.eye(3), [0, 1])
