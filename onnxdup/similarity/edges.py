"""The similarity graph G_tau: an edge joins two filters whose similarity is at least tau.

float32 products screen all pairs with a proven margin, float64 decides the pairs that the margin leaves
open, so the edges are those of a float64 comparison of all pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from onnxdup.similarity.tiles import Tile, tiles
from onnxdup.similarity.units import Bools, Floats, Indices, Metric, Units, check_metric, effective_tau

_DENSE = 64
"""A float64 product of a whole tile costs about as much as comparing 1 / _DENSE of its pairs one by one."""


@dataclass(frozen=True)
class Edges:
    """Pairs i < j of filters with their float64 similarity, all of shape (edges,)."""

    i: Indices
    j: Indices
    value: Floats

    def __len__(self) -> int:
        return len(self.i)

    @classmethod
    def join(cls, parts: Iterable[Edges]) -> Edges:
        """All edges of `parts`, ordered by (i, j)."""
        listed = [*parts]
        if not listed:
            return cls(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
        i, j = np.concatenate([p.i for p in listed]), np.concatenate([p.j for p in listed])
        order = np.lexsort((j, i))
        return cls(i[order], j[order], np.concatenate([p.value for p in listed])[order])


@dataclass(frozen=True)
class Screen:
    """Decides which pairs of a tile reach tau under `metric`."""

    units: Units
    metric: Metric

    def maybe(self, tile: Tile, tau: float) -> Bools:
        """Pairs (B, C) that float32 cannot rule out; a copy similarity never exceeds its cosine."""
        bar = np.float32(tau - self.units.margin)
        mask = tile.cosines >= bar
        return mask | (tile.cosines <= -bar) if self.metric == "absolute" else mask

    def coarse(self, tile: Tile, r: Indices, c: Indices) -> Floats:
        """Similarity of pairs of the tile, good to `units.margin`."""
        cosine = tile.cosines[r, c].astype(np.float64)
        return self.units.from_cosine(cosine, tile.rows[r], tile.cols[c], self.metric)

    def fine(self, tile: Tile, r: Indices, c: Indices, tau: float) -> Floats:
        """Float64 similarity of pairs of the tile; `fine(...) >= tau` is the exact decision."""
        i, j = tile.rows[r], tile.cols[c]
        if len(r) * _DENSE <= tile.cosines.size:
            return self.units.similarity(i, j, self.metric)
        products = self.units.exact(tile.rows) @ self.units.exact(tile.cols).T
        return decided(self.units, products[r, c], i, j, self.metric, tau)


def decided(units: Units, cosine: Floats, i: Indices, j: Indices, metric: Metric, tau: float) -> Floats:
    """Similarity from float64 products, with every value that could fall on either side of tau recomputed."""
    value = units.from_cosine(cosine, i, j, metric)
    close = np.abs(value - tau) <= units.fine_margin
    if close.any():
        value[close] = units.similarity(i[close], j[close], metric)
    return value


def edge_blocks(
    rows: ArrayLike | Units,
    tau: float,
    *,
    metric: Metric = "cosine",
    blocks: ArrayLike | None = None,
    block_rows: int | None = None,
) -> Iterator[Edges]:
    """The edges of `similarity_edges`, tile by tile, for graphs that may not fit in memory.

    Each part is ordered by (i, j); parts are disjoint.
    """
    check_metric(metric)
    tau, units = effective_tau(tau), Units.of(rows)
    screen = Screen(units, metric)
    for tile in tiles(units, blocks, block_rows):
        r, c = pairs(tile, screen.maybe(tile, tau))
        if not len(r):
            continue
        value = screen.fine(tile, r, c, tau)
        keep = value >= tau
        if keep.any():
            yield Edges(tile.rows[r[keep]], tile.cols[c[keep]], value[keep])


def similarity_edges(
    rows: ArrayLike | Units,
    tau: float,
    *,
    metric: Metric = "cosine",
    blocks: ArrayLike | None = None,
    block_rows: int | None = None,
) -> Edges:
    """All pairs of filters with similarity >= tau, ordered by (i, j).

    rows (K, d) of any real dtype; metric 'cosine', 'absolute' (|cosine|) or 'copy' (2<a, b> / (|a|^2 +
    |b|^2)); filters of different `blocks` (K,) are never compared; rows that are zero or not finite have no
    edges. tau lies in (0, 1] and is capped at 1 - 1e-6. Memory grows with the number of edges: see
    `edge_blocks` for dense graphs. Raises `UsageError` for a bad tau, metric or shape.
    """
    return Edges.join(edge_blocks(rows, tau, metric=metric, blocks=blocks, block_rows=block_rows))


def pairs(tile: Tile, mask: Bools) -> tuple[Indices, Indices]:
    """Positions (r, c) of the set entries of a mask over a tile, each pair once."""
    if not mask.any():
        return np.empty(0, np.intp), np.empty(0, np.intp)
    flat = np.flatnonzero(mask)
    r, c = np.divmod(flat, mask.shape[1])
    if tile.diagonal:
        upper = r < c
        r, c = r[upper], c[upper]
    return r, c
