"""A basis among given rows, in which the others have small coefficients.

Rank by pivoted QR (Golub and Van Loan, "Matrix Computations", 4th ed., 5.4.2) on rows and columns of equal
size, so that loud inputs do not hide quiet ones; then rows are exchanged until no coefficient is much larger
than one (Goreinov et al., "How to find a good submatrix", 2010). Nothing here is a proof: whoever uses the
coefficients checks them entry by entry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from onnxdup.merging.plan import Array, Index

EXTRA = 16
"""Columns of a sketch beyond the number of rows."""
SUSPECT = 1e-3
"""A unit row as near as this to the span of the rows before it makes a closer look worthwhile."""
MARGIN = 32
LARGEST_COEFFICIENT = 1.2
GROWTH = 16.0
"""Root of the sum of squares of (coefficient · length of its row), beside the length of the row."""


@dataclass(frozen=True)
class Basis:
    """row[rest] = a · row[kept]; `rest` (m,), `kept` (r,), `a` (m, r)."""

    kept: Index
    rest: Index
    a: Array


def basis(rows: Array, bits: int) -> Basis | None:
    """A basis of rows (n, d) that are stored with `bits` bits of mantissa; None where all are independent."""
    even, length = _equilibrated(rows)
    alive = np.flatnonzero(length > 0)
    if len(alive) < 2:
        return None
    even = even[alive]
    sketch = _sketch(even)
    if not _suspicious(sketch):
        return None
    order, rank = _pivoted(sketch, bits)
    if rank == len(alive) or rank == 0:
        return None
    kept, rest = _exchanged(even, np.sort(order[:rank]), np.sort(order[rank:]))
    a = _solved(even, kept, rest)
    small = (np.square(a).sum(1) <= GROWTH**2) & np.isfinite(a).all(1)
    kept, rest, a = alive[kept], alive[rest[small]], a[small]
    return Basis(kept, rest, a * (length[rest][:, None] / length[kept][None, :]))


def _equilibrated(rows: Array) -> tuple[Array, Array]:
    """Unit rows of the matrix whose columns have equal maxima, and the lengths that they had there."""
    top = np.abs(rows).max(0, initial=0.0)
    even = rows[:, top > 0] / top[top > 0]
    length = np.linalg.norm(even, axis=1)
    return even / np.where(length > 0, length, 1.0)[:, None], length


def _sketch(rows: Array) -> Array:
    """As few columns as the rank of n rows needs: each is added, with a random sign, to one of n + EXTRA."""
    n, d = rows.shape
    width = n + EXTRA
    if d <= 2 * width:
        return rows
    random = np.random.default_rng(0)
    places, signs = random.integers(0, width, d), random.choice([-1.0, 1.0], d)
    fold = csr_array((signs, (np.arange(d), places)), shape=(d, width))
    return np.asarray(rows @ fold)


def _suspicious(rows: Array) -> bool:
    """Is any row (nearly) in the span of those before it? The last row of a dependence is."""
    if rows.shape[0] > rows.shape[1]:
        return True
    diagonal = np.abs(np.diag(np.linalg.qr(rows.T.astype(np.float32), mode="r")))
    return bool((diagonal <= SUSPECT * np.linalg.norm(rows, axis=1)).any())


def _pivoted(rows: Array, bits: int) -> tuple[Index, int]:
    """Rows in the order of pivoting, and how many are independent to the precision of the stored numbers."""
    from scipy.linalg import qr

    (r, order) = qr(rows.T, mode="r", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(r))
    least = max(MARGIN * 2.0**-bits, MARGIN * max(rows.shape) * 2.0**-52)
    return order.astype(np.int64), int((diagonal > least * diagonal[0]).sum())


def _solved(rows: Array, kept: Index, rest: Index) -> Array:
    """Least squares, refined once: (m, r)."""
    q, r = np.linalg.qr(rows[kept].T)
    wanted = rows[rest].T
    x = np.linalg.solve(r, q.T @ wanted)
    x += np.linalg.solve(r, q.T @ (wanted - rows[kept].T @ x))
    return np.asarray(x.T)


def _exchanged(rows: Array, kept: Index, rest: Index) -> tuple[Index, Index]:
    """Rows of large coefficients enter the basis; each exchange enlarges the volume that it spans."""
    kept, rest = kept.copy(), rest.copy()
    a = _solved(rows, kept, rest)
    for _ in range(2 * len(kept) + 16):
        j, k = np.unravel_index(np.abs(a).argmax(), a.shape)
        if not np.abs(a[j, k]) > LARGEST_COEFFICIENT:
            break
        kept[k], rest[j] = rest[j], kept[k]
        pivot, row, column = a[j, k], a[j].copy(), a[:, k].copy()
        a -= np.outer(column, row) / pivot
        a[:, k] = column / pivot
        a[j] = -row / pivot
        a[j, k] = 1.0 / pivot
    return np.sort(kept), np.sort(rest)
