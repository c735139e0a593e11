"""Connected components of the similarity graph, folded tile by tile for several thresholds in one pass.

An edge inside a component that is already known changes nothing. So pairs with equal labels are dropped
before they are decided in float64, and memory stays bounded when almost every pair is an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from onnxdup.similarity.edges import Edges, Screen, pairs
from onnxdup.similarity.sketches import near_pairs, worthwhile
from onnxdup.similarity.tiles import Tile, tiles
from onnxdup.similarity.units import Bools, Floats, Indices, Metric, Units, check_metric, effective_tau

_SPARSE = 16
"""Up to 1 / _SPARSE of a tile, open pairs are listed; above, known components are masked out first."""


class Partition:
    """Disjoint sets over 0..n-1 with vectorised unions; `roots` (n,) holds the smallest member of each
    one's set.
    """

    def __init__(self, n: int) -> None:
        self.roots: Indices = np.arange(n)

    def apart(self, i: Indices, j: Indices) -> Bools:
        """Whether i and j are in different sets (broadcasting)."""
        apart: Bools = self.roots[i] != self.roots[j]
        return apart

    def table(self, rows: Indices, cols: Indices) -> Bools:
        """`apart` for all of `rows` (B,) with all of `cols` (C,): (B, C), by short codes of the sets met."""
        _, codes = np.unique(self.roots[np.append(rows, cols)], return_inverse=True)
        codes = codes.astype(np.uint16 if len(codes) <= 1 << 16 else np.uint32)
        table: Bools = codes[: len(rows), None] != codes[None, len(rows) :]
        return table

    def unite(self, i: Indices, j: Indices) -> None:
        """Join the sets of i and j, pair by pair."""
        a, b = self.roots[i], self.roots[j]
        new = a != b
        if not new.any():
            return
        nodes, a, b = _compact(len(self.roots), a[new], b[new])
        joined = coo_array((np.ones(len(a)), (a, b)), shape=(len(nodes), len(nodes)))
        count, sets = connected_components(joined, directed=False)
        smallest = np.empty(count, np.intp)
        smallest[sets[::-1]] = nodes[::-1]
        renamed = np.arange(len(self.roots))
        renamed[nodes] = smallest[sets]
        self.roots = renamed[self.roots]

    def labels(self) -> Indices:
        """Set of each element as 0..k-1, sets ordered by their smallest member."""
        return canonical(self.roots)


def canonical(labels: Indices) -> Indices:
    """Renumber any labels (n,) as 0..k-1 in the order of each cluster's smallest member."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def components(n: int, edges: Edges | Iterable[Edges]) -> Indices:
    """Component labels (n,) of a graph given by its edges or by parts of them (`edge_blocks`).

    Labels are 0..k-1 in the order of each component's smallest member.
    """
    partition = Partition(n)
    for part in [edges] if isinstance(edges, Edges) else edges:
        partition.unite(part.i, part.j)
    return partition.labels()


def similarity_components(
    rows: ArrayLike | Units,
    taus: Sequence[float],
    *,
    metric: Metric = "cosine",
    blocks: ArrayLike | None = None,
    block_rows: int | None = None,
) -> tuple[Indices, ...]:
    """Component labels (K,) of the similarity graph for each tau, from one pass over all pairs.

    The same as `components(K, similarity_edges(rows, tau))` for each tau, in memory that does not depend on
    the number of edges. Raises `UsageError` for a bad tau, metric or shape.
    """
    check_metric(metric)
    units = Units.of(rows)
    found = _by_sketches(units, taus, metric, blocks)
    if found is not None:
        return found
    fold = ComponentFold(Screen(units, metric), taus)
    if taus:
        for tile in tiles(units, blocks, block_rows):
            fold.add(tile)
    return fold.labels()


def _by_sketches(
    units: Units, taus: Sequence[float], metric: Metric, blocks: ArrayLike | None
) -> tuple[Indices, ...] | None:
    """The components from a list of pairs that surely holds all edges; None where such a list is long."""
    effective = [effective_tau(tau) for tau in taus]
    if not effective or not worthwhile(units, min(effective)):
        return None
    pairs = near_pairs(units, min(effective), metric)
    if pairs is None:
        return None
    i, j = pairs
    if blocks is not None:
        same = np.asarray(blocks)[i] == np.asarray(blocks)[j]
        i, j = i[same], j[same]
    value = units.similarity(i, j, metric)
    partitions = [Partition(units.count) for _ in effective]
    for tau, partition in zip(effective, partitions, strict=True):
        partition.unite(i[value >= tau], j[value >= tau])
    return tuple(p.labels() for p in partitions)


@dataclass(frozen=True)
class _Found:
    """Pairs of a tile (positions) with their coarse similarity."""

    r: Indices
    c: Indices
    coarse: Floats

    def where(self, keep: Bools) -> _Found:
        return _Found(self.r[keep], self.c[keep], self.coarse[keep])


class ComponentFold:
    """Consumer of tiles: the components of the similarity graph at each of `taus`."""

    def __init__(self, screen: Screen, taus: Sequence[float]) -> None:
        self._screen = screen
        self._taus = [effective_tau(tau) for tau in taus]
        self._partitions = {tau: Partition(screen.units.count) for tau in self._taus}

    def add(self, tile: Tile) -> None:
        """Fold the pairs of one tile into the components."""
        mask = self._screen.maybe(tile, min(self._taus))
        count = np.count_nonzero(mask)
        if count == 0:
            return
        if count * _SPARSE > mask.size:
            for tau, partition in self._partitions.items():
                self._fold_dense(tile, tau, partition)
            return
        found = self._found(tile, *pairs(tile, mask))
        for tau, partition in self._partitions.items():
            self._fold(tile, tau, partition, found)

    def labels(self) -> tuple[Indices, ...]:
        """Labels (K,) for each tau, in the order given."""
        return tuple(self._partitions[tau].labels() for tau in self._taus)

    def _found(self, tile: Tile, r: Indices, c: Indices) -> _Found:
        return _Found(r, c, self._screen.coarse(tile, r, c))

    def _fold_dense(self, tile: Tile, tau: float, partition: Partition) -> None:
        """First one open pair of each filter, which usually connects what there is; then all those left."""
        roots = partition.roots[np.append(tile.rows, tile.cols)]
        if (roots == roots[0]).all():
            return
        mask = self._screen.maybe(tile, tau)
        mask &= partition.table(tile.rows, tile.cols)
        if not mask.any():
            return
        self._fold(tile, tau, partition, self._found(tile, *_one_each(mask)))
        mask &= partition.table(tile.rows, tile.cols)
        self._fold(tile, tau, partition, self._found(tile, *pairs(tile, mask)))

    def _fold(self, tile: Tile, tau: float, partition: Partition, found: _Found) -> None:
        margin = self._screen.units.margin
        found = found.where(found.coarse >= tau - margin)
        if not len(found.r):
            return
        sure = found.coarse >= tau + margin
        partition.unite(tile.rows[found.r[sure]], tile.cols[found.c[sure]])
        found = found.where(~sure)
        found = found.where(partition.apart(tile.rows[found.r], tile.cols[found.c]))
        edge = self._screen.fine(tile, found.r, found.c, tau) >= tau
        partition.unite(tile.rows[found.r[edge]], tile.cols[found.c[edge]])


def _one_each(mask: Bools) -> tuple[Indices, Indices]:
    """Position of the first set entry of every row and of every column that has one."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    r = np.append(rows, mask.argmax(axis=0)[cols])
    return r, np.append(mask.argmax(axis=1)[rows], cols)


def _compact(n: int, a: Indices, b: Indices) -> tuple[Indices, Indices, Indices]:
    """The distinct values of a and b in ascending order, and a and b as positions among them."""
    seen = np.zeros(n, np.bool_)
    seen[a] = seen[b] = True
    nodes = np.flatnonzero(seen)
    place = np.empty(n, np.intp)
    place[nodes] = np.arange(len(nodes))
    return nodes, place[a], place[b]
