"""Channel ids: which channel is each element of an activation?

An id array is broadcastable to the activation it describes. 0 means "no channel": nothing that we may remove.
Data-movement operators act on id arrays exactly as they act on data.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ids: TypeAlias = npt.NDArray[np.int64]
Shape: TypeAlias = tuple[int, ...]


def no_channel(rank: int) -> Ids:
    """Ids of an activation of `rank` axes without channels."""
    return np.zeros([1] * rank, np.int64)


def along(vector: Ids, axis: int, rank: int) -> Ids:
    """`vector` laid along `axis` of an activation of `rank` axes."""
    return vector.reshape([-1 if k == axis else 1 for k in range(rank)])


def compact(ids: Ids) -> Ids:
    """`ids` with length 1 on each axis along which nothing changes."""
    for axis in varying(ids):
        first = ids.take([0], axis)
        if (ids == first).all():
            ids = first
    return ids


def varying(ids: Ids) -> list[int]:
    """Axes of length > 1."""
    return [k for k, length in enumerate(ids.shape) if length > 1]


def to_rank(ids: Ids, rank: int) -> Ids:
    """`ids` with leading axes added, as numpy broadcasting does."""
    return ids.reshape((1,) * (rank - ids.ndim) + ids.shape)


def reshape(ids: Ids, before: Shape, after: Shape) -> Ids:
    """Ids of `Reshape`: only the factors that hold channels are ever spread out.

    `before` and `after` are cut into the smallest blocks of equal product; a block without channels stays
    compact.
    """
    spread: list[int] = []
    target: list[int] = []
    for old, new in blocks(before, after):
        holds = any(ids.shape[k] > 1 for k in old)
        spread += [before[k] if holds else 1 for k in old]
        target += [after[k] if holds else 1 for k in new]
    return compact(np.broadcast_to(ids, spread).reshape(target))


def blocks(before: Shape, after: Shape) -> list[tuple[range, range]]:
    """Smallest consecutive runs of axes with equal products, as (axes of `before`, axes of `after`).

    >>> blocks((2, 3, 4), (2, 12))
    [(range(0, 1), range(0, 1)), (range(1, 3), range(1, 2))]
    """
    cuts = [(0, 0)]
    i = j = 0
    while i < len(before) or j < len(after):
        left, right = _next(before, i), _next(after, j)
        i, j = i + 1 if i < len(before) else i, j + 1 if j < len(after) else j
        while left != right:
            if left < right:
                left, i = left * _next(before, i), i + 1
            else:
                right, j = right * _next(after, j), j + 1
            if i > len(before) or j > len(after):
                raise ValueError(f"cannot reshape {before} to {after}")
        cuts.append((i, j))
    return [(range(a, c), range(b, d)) for (a, b), (c, d) in pairwise(cuts)]


def _next(shape: Shape, k: int) -> int:
    return shape[k] if k < len(shape) else 1


def components(count: int, pairs: Sequence[npt.NDArray[np.int64]]) -> Ids:
    """Connected components over `count` ids: label[i] is the smallest id that i is joined with."""
    joined = np.concatenate([*pairs, np.empty((0, 2), np.int64)])
    graph = coo_array((np.ones(len(joined), bool), (joined[:, 0], joined[:, 1])), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    smallest = np.full(label.max(initial=0) + 1, count, np.int64)
    np.minimum.at(smallest, label, np.arange(count))
    return smallest[label]


def sort_by_channel(local: npt.NDArray[np.int64], channels: int) -> npt.NDArray[np.int64] | None:
    """Positions of each channel on an axis: (channels, copies), or None where the counts differ.

    `local[p]` is the channel (0 … channels - 1) at position p, or -1.
    """
    places = np.flatnonzero(local >= 0)
    counts = np.bincount(local[places], minlength=channels)
    if len(set(counts.tolist())) != 1:
        return None
    order = np.lexsort((places, local[places]))
    return places[order].reshape(channels, -1)
