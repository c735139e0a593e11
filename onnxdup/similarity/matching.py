"""The best one-to-one matching of two sets of filters up to order, sign and scale, and what chance gives.

Li, Yosinski, Clune, Lipson, Hopcroft, "Convergent Learning" (2015): the assignment with the largest sum of
similarities (the assignment problem; Kuhn 1955). Similarity is |cosine|, or the cosine where signs count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from onnxdup.errors import UsageError
from onnxdup.similarity.units import Floats, Indices, Units

LARGEST = 8192
"""Filters of a layer up to which they are matched: the matrix then takes 0.5 GB."""
_DRAWN = 512
"""Dimensions drawn for chance; beyond them cosines only shrink, with the root of the dimensions."""


@dataclass(frozen=True)
class Match:
    """Filter `first[k]` of one set corresponds to `second[k]` of the other, with that signed `cosine`.

    All are (pairs,), in the order of `first`. Filters without a direction are in no pair.
    """

    first: Indices
    second: Indices
    cosine: Floats


def best_match(
    first: ArrayLike | Units,
    second: ArrayLike | Units,
    *,
    first_blocks: ArrayLike | None = None,
    second_blocks: ArrayLike | None = None,
) -> Match:
    """Filters (n, d) and (m, d) one to one so that the sum of |cosine| is largest: min(n, m) pairs per block.

    Filters of different blocks are never matched. Raises `UsageError` where widths differ or a set has more
    than `LARGEST` filters.
    """
    a, b = Units.of(first), Units.of(second)
    if a.width != b.width:
        raise UsageError(f"filters of {a.width} and of {b.width} weights cannot be compared")
    if max(a.count, b.count) > LARGEST:
        raise UsageError(f"more than {LARGEST} filters to match")
    left, right = _blocks(a, first_blocks), _blocks(b, second_blocks)
    found = [_assigned(a, b, left[key], right[key]) for key in left.keys() & right.keys()]
    i, j, cosine = (np.concatenate(column) for column in zip(_none(), *found, strict=True))
    order = np.argsort(i, kind="stable")
    return Match(i[order].astype(np.intp), j[order].astype(np.intp), cosine[order])


def assignment(score: Floats) -> tuple[Indices, Indices]:
    """Rows and columns of the assignment with the largest sum in a matrix (n, m): min(n, m) pairs."""
    rows, columns = linear_sum_assignment(score, maximize=True)
    return np.asarray(rows, np.intp), np.asarray(columns, np.intp)


def chance_match(first: int, second: int, width: int, *, seed: int = 0, draws: int = 1) -> Floats:
    """Matched |cosine| (draws · min(first, second),) of independent random directions in `width` dimensions.

    Beyond 512 dimensions directions of 512 are drawn and their cosines scaled by the root of the ratio.
    """
    random, drawn = np.random.default_rng(seed), min(width, _DRAWN)
    parts = [np.empty(0)]
    for _ in range(draws):
        a, b = (Units(random.normal(size=(n, drawn)).astype(np.float32)) for n in (first, second))
        parts.append(np.abs(best_match(a, b).cosine) * np.sqrt(drawn / max(width, 1)))
    return np.concatenate(parts)


def _blocks(units: Units, blocks: ArrayLike | None) -> dict[int, Indices]:
    """Filters with a direction, by block."""
    ids = np.zeros(units.count, np.int64) if blocks is None else np.asarray(blocks)
    own = ids[units.valid]
    return {int(key): units.valid[own == key] for key in np.unique(own)}


def _assigned(a: Units, b: Units, i: Indices, j: Indices) -> tuple[Floats, Floats, Floats]:
    size = a.exact(i) @ b.exact(j).T
    rows, columns = assignment(np.abs(size, out=size))
    i, j = i[rows], j[columns]
    return i.astype(float), j.astype(float), _cosines(a, b, i, j)


def _cosines(a: Units, b: Units, i: Indices, j: Indices) -> Floats:
    """Signed cosines, accurate also close to one: there from the length of the difference."""
    u, v = a.exact(i), b.exact(j)
    cosine = np.einsum("ij,ij->i", u, v)
    sign = np.where(cosine < 0, -1.0, 1.0)
    apart = u - sign[:, None] * v
    near = sign * (1 - np.einsum("ij,ij->i", apart, apart) / 2)
    return np.asarray(np.where(np.abs(cosine) > 0.9, near, cosine), np.float64)


def _none() -> tuple[Floats, Floats, Floats]:
    return np.empty(0), np.empty(0), np.empty(0)
