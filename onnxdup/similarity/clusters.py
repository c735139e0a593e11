"""Complete linkage: clusters in which every pair, not just a chain, reaches tau.

Components of the similarity graph chain (a ~ b ~ c says nothing about a and c). Complete linkage inside
each component keeps tau's meaning; pairs of different components are no edges, so nothing is lost by
treating each by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import num_obs_y

from onnxdup.errors import UsageError
from onnxdup.similarity.edges import Edges, decided
from onnxdup.similarity.folding import Partition, canonical, components, similarity_components
from onnxdup.similarity.leaders import leader_clusters
from onnxdup.similarity.tiles import groups
from onnxdup.similarity.units import Floats, Indices, Metric, Units, check_metric, effective_tau

DENSE_LIMIT = 20_000
"""Members of a component up to which all distances are held: 2 x 1.6 GB of float64 at the limit."""

_NO_EDGE = 4.0
_CUT = 1.5
_DIGITS = 12
"""Distances are rounded so that ties are ties whatever the order of summation; the index then decides."""


def complete_linkage(
    rows: ArrayLike | Units,
    tau: float,
    edges: Edges | None = None,
    *,
    metric: Metric = "cosine",
    blocks: ArrayLike | None = None,
    dense_limit: int = DENSE_LIMIT,
) -> Indices:
    """Cluster labels (K,) such that every pair in a cluster has float64 similarity >= tau.

    Complete linkage on 1 - similarity inside each component of the similarity graph; `edges` are those of
    `similarity_edges` with the same tau, metric and blocks, if known. Components above `dense_limit`
    members are split by leader clustering, which keeps the promise but makes more clusters. Labels are
    0..k-1 in the order of each cluster's smallest member. Raises `UsageError` for a bad tau, metric or
    shape.
    """
    check_metric(metric)
    tau, units = effective_tau(tau), Units.of(rows)
    if edges is None:
        found = similarity_components(units, [tau], metric=metric, blocks=blocks)[0]
    else:
        found = components(units.count, edges)
    label = np.arange(units.count)
    inside = None if edges is None else _EdgeLists(edges, found)
    for number, members in _members(found):
        if len(members) == 2:
            label[members] = members[0]
        elif len(members) > dense_limit:
            label[members] = leader_clusters(units, members, tau, metric)
        else:
            known = None if inside is None else inside.distances(number, members)
            distances = _distances(units, members, metric, tau) if known is None else known
            label[members] = members[_cut(distances)]
    return canonical(label)


def complete_linkage_to(
    rows: ArrayLike | Units,
    k: int,
    *,
    metric: Metric = "cosine",
    blocks: ArrayLike | None = None,
    dense_limit: int = DENSE_LIMIT,
) -> Indices:
    """Labels (K,) of exactly k clusters: the K - k merges of smallest height of complete linkage.

    Filters of different `blocks`, zero rows and non-finite rows are never joined. Raises `UsageError` if k
    is out of reach, or if a block has more than `dense_limit` filters.
    """
    return _linked_to(Units.of(rows), k, "complete", metric, blocks, dense_limit)


def single_linkage_to(rows: ArrayLike | Units, k: int, *, dense_limit: int = DENSE_LIMIT) -> Indices:
    """The components of the similarity graph at the threshold that leaves k of them: labels (K,). See
    `complete_linkage_to`.
    """
    return _linked_to(Units.of(rows), k, "single", "cosine", None, dense_limit)


def _linked_to(
    units: Units,
    k: int,
    kind: Literal["single", "complete"],
    metric: Metric,
    blocks: ArrayLike | None,
    dense_limit: int,
) -> Indices:
    check_metric(metric)
    parts = groups(units, blocks)
    if any(len(part) > dense_limit for part in parts):
        raise UsageError(f"more than {dense_limit} filters to cluster to a count", remedy="give tau instead")
    merges = [_merges(part, linkage(_distances(units, part, metric), kind)) for part in parts]
    first, second, height = (np.concatenate(column) for column in zip(_no_merges(), *merges, strict=True))
    wanted = units.count - k
    if not 0 <= wanted <= len(first):
        fewest = units.count - len(first)
        raise UsageError(f"cannot make {k} clusters", remedy=f"ask for {fewest} to {units.count}")
    chosen = np.argsort(height, kind="stable")[:wanted]
    partition = Partition(units.count)
    partition.unite(first[chosen].astype(np.intp), second[chosen].astype(np.intp))
    return partition.labels()


def smallest_cosine(rows: ArrayLike | Units, labels: ArrayLike, *, metric: Metric = "cosine") -> Floats:
    """Smallest pairwise similarity (clusters,) inside each cluster 0..k-1: 1 for a single filter.

    A pair with a zero or non-finite row counts as 0. float64.
    """
    check_metric(metric)
    units, label = Units.of(rows), np.asarray(labels, np.intp)
    if label.shape != (units.count,):
        raise UsageError(f"labels must have shape ({units.count},), not {label.shape}")
    smallest = np.ones(int(label.max(initial=-1)) + 1)
    worst = [(number, *_farthest(units, members, metric)) for number, members in _members(label)]
    number, i, j = np.array(worst, np.intp).reshape(-1, 3).T
    smallest[number] = units.similarity(i, j, metric)
    return smallest


class _EdgeLists:
    """Edges sorted by component, as distances of the pairs of one component."""

    def __init__(self, edges: Edges, labels: Indices) -> None:
        self._edges = edges
        number = labels[edges.i]
        self._order = np.argsort(number, kind="stable")
        self._bounds = np.searchsorted(number[self._order], np.arange(int(labels.max(initial=-1)) + 2))

    def distances(self, number: int, members: Indices) -> Floats:
        at = self._order[self._bounds[number] : self._bounds[number + 1]]
        i, j = np.searchsorted(members, self._edges.i[at]), np.searchsorted(members, self._edges.j[at])
        condensed = np.full(len(members) * (len(members) - 1) // 2, _NO_EDGE)
        condensed[_row_start(i, len(members)) + j - i - 1] = np.round(1 - self._edges.value[at], _DIGITS)
        return condensed


def _members(labels: Indices) -> Iterator[tuple[int, Indices]]:
    """Label and ascending members of each cluster with at least two."""
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    ends = np.cumsum(sizes)
    for number in np.flatnonzero(sizes > 1):
        yield int(number), order[ends[number] - sizes[number] : ends[number]]


def _row_start(i: Indices | int, m: int) -> Any:
    """Position of pair (i, i + 1) in a condensed distance vector."""
    return i * (2 * m - i - 1) // 2


def _strips(units: Units, members: Indices) -> Iterator[tuple[int, int, Floats]]:
    """Float64 cosines of filters start.. with filters first.. of the same set, upper triangle of tiles."""
    step = units.block_rows()
    for start in range(0, len(members), step):
        left = units.exact(members[start : start + step])
        for first in range(start, len(members), step):
            yield start, first, left @ units.exact(members[first : first + step]).T


def _similarities(
    units: Units, members: Indices, metric: Metric, tau: float
) -> Iterator[tuple[int, int, Floats]]:
    for start, first, cosine in _strips(units, members):
        i, j = members[start : start + cosine.shape[0]], members[first : first + cosine.shape[1]]
        both = np.broadcast_arrays(i[:, None], j[None, :])
        yield start, first, decided(units, cosine, both[0], both[1], metric, tau)


def _distances(units: Units, members: Indices, metric: Metric, tau: float | None = None) -> Floats:
    """Condensed 1 - similarity of all pairs; pairs below tau, if given, are farther than any edge.

    Complete linkage depends on the order of distances only, and a cluster's height is its largest one:
    moving all non-edges up together changes no cluster below the cut and makes the cut exact.
    """
    m = len(members)
    condensed = np.empty(m * (m - 1) // 2)
    for start, first, value in _similarities(units, members, metric, 2.0 if tau is None else tau):
        distance = np.round(1 - value, _DIGITS)
        if tau is not None:
            distance[value < tau] = _NO_EDGE
        for row in range(value.shape[0]):
            i, skip = start + row, max(0, start + row + 1 - first)
            at = _row_start(i, m) + first - i - 1
            condensed[at + skip : at + value.shape[1]] = distance[row, skip:]
    return condensed


def _cut(distances: Floats) -> Indices:
    """Position of the smallest member of each one's cluster."""
    if distances.max() < _CUT:
        return np.zeros(num_obs_y(distances), np.intp)
    _, first, inverse = np.unique(
        fcluster(linkage(distances, "complete"), _CUT, "distance"), return_index=True, return_inverse=True
    )
    return first[inverse]


def _merges(members: Indices, tree: Floats) -> tuple[Floats, Floats, Floats]:
    """Each merge of a linkage as one pair of filters and its height."""
    some = np.concatenate([members, np.empty(len(tree), np.intp)])
    for step, (a, _) in enumerate(tree[:, :2].astype(np.intp)):
        some[len(members) + step] = some[a]
    pair = some[tree[:, :2].astype(np.intp)]
    return pair[:, 0].astype(float), pair[:, 1].astype(float), tree[:, 2]


def _no_merges() -> tuple[Floats, Floats, Floats]:
    return np.empty(0), np.empty(0), np.empty(0)


def _farthest(units: Units, members: Indices, metric: Metric) -> tuple[int, int]:
    """A pair of smallest similarity; a filter with itself only where no pair is below 1."""
    if len(members) == 2:
        return int(members[0]), int(members[1])
    worst, pair = np.inf, (members[0], members[1])
    for start, first, value in _similarities(units, members, metric, 2.0):
        at = int(value.argmin())
        if value.flat[at] < worst:
            r, c = divmod(at, value.shape[1])
            worst, pair = float(value.flat[at]), (members[start + r], members[first + c])
    return int(pair[0]), int(pair[1])
