"""One pass over all pairs of filters: the float32 Gram matrix, tile by tile, upper triangle only.

Everything that needs all pairs (edges, components, histogram, nearest neighbours) is a consumer of these
tiles, so that several of them share one pass. Memory is two blocks of rows and one tile, whatever the
number of filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from onnxdup.errors import UsageError
from onnxdup.similarity.units import Indices, Singles, Units


@dataclass(frozen=True)
class Tile:
    """Float32 cosines (B, C) of filters `rows` (B,) with filters `cols` (C,).

    On a diagonal tile `rows` and `cols` are the same, the matrix is exactly symmetric and its diagonal
    holds 0; on all others every row index is smaller than every column index. `cosines` is overwritten by
    the next tile.
    """

    rows: Indices
    cols: Indices
    cosines: Singles
    diagonal: bool


def tiles(units: Units, blocks: ArrayLike | None = None, block_rows: int | None = None) -> Iterator[Tile]:
    """Tiles that cover every pair of valid filters of the same block once.

    `blocks` (K,) are block ids (groups of a grouped convolution); `block_rows` the height of a tile.
    """
    height = units.block_rows() if block_rows is None else max(1, block_rows)
    buffer = np.empty(0, np.float32)
    for members in groups(units, blocks):
        largest = min(height, len(members)) * min(2 * height, len(members))
        buffer = np.empty(largest, np.float32) if len(buffer) < largest else buffer
        yield from _cover(units, members, height, buffer)


def groups(units: Units, blocks: ArrayLike | None = None) -> list[Indices]:
    """Ascending indices of the valid filters of each block that has at least two of them."""
    if blocks is None:
        return [units.valid] if len(units.valid) > 1 else []
    ids = np.asarray(blocks)
    if ids.shape != (units.count,):
        raise UsageError(f"block ids must have shape ({units.count},), not {ids.shape}")
    ids = ids[units.valid]
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(ids[order][1:] != ids[order][:-1]) + 1
    parts = np.split(units.valid[order], starts)
    return [part for part in parts if len(part) > 1]


def _cover(units: Units, members: Indices, height: int, buffer: Singles) -> Iterator[Tile]:
    for start in range(0, len(members), height):
        rows = members[start : start + height]
        left = units.screen(rows)
        cosines = _product(left, left, buffer)
        np.fill_diagonal(cosines, 0)
        yield Tile(rows, rows, cosines, diagonal=True)
        for first in range(start + height, len(members), 2 * height):
            cols = members[first : first + 2 * height]
            yield Tile(rows, cols, _product(left, units.screen(cols), buffer), diagonal=False)


def _product(left: Singles, right: Singles, buffer: Singles) -> Singles:
    out = buffer[: len(left) * len(right)].reshape(len(left), len(right))
    return np.matmul(left, right.T, out=out)
