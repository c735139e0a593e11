"""Filters as unit vectors: safe normalisation, and the float64 similarity of any list of pairs.

`Units` is what every other module of this layer works on. It keeps the caller's rows as they are (any real
dtype, memory-mapped or not), their norms, and, where it is small, one float32 copy of the unit rows for
screening.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxdup.errors import UsageError

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]
Metric = Literal["cosine", "copy", "absolute"]

ONE = 1 - 1e-6
"""The largest threshold in use: stored weights are rounded, so tau = 1 is read as 1 - 1e-6."""

_ROUND32 = float(np.finfo(np.float32).eps) / 2
_ROUND64 = float(np.finfo(np.float64).eps) / 2
_CACHE_BYTES = 512 << 20
_CHUNK_BYTES = 16 << 20


class Units:
    """Rows (K, d) of a weight, read as directions and lengths.

    `valid` lists the rows that have a direction, `zero` and `nonfinite` those that have none (no pair with
    one of them is ever an edge). Raises `UsageError` unless `rows` is a real two-dimensional array.
    """

    def __init__(self, rows: ArrayLike) -> None:
        self.rows = _real_matrix(rows)
        self.count: int = self.rows.shape[0]
        self.width: int = self.rows.shape[1]
        self._wide = self.rows.dtype.itemsize >= 8 and self.rows.dtype.kind == "f"
        self._lengths = np.zeros(self.count)
        self._exponents = np.zeros(self.count, np.int32)
        self._measure()
        finite = np.isfinite(self._lengths)
        self.nonfinite: Indices = np.flatnonzero(~finite)
        self.zero: Indices = np.flatnonzero(self._lengths == 0)
        self.valid: Indices = np.flatnonzero(finite & (self._lengths > 0))
        self._cache: Singles | None = None

    @classmethod
    def of(cls, rows: ArrayLike | Units) -> Units:
        """`rows` itself if it is measured already."""
        return rows if isinstance(rows, Units) else cls(rows)

    @property
    def margin(self) -> float:
        """Bound on |float32 cosine - cosine| for unit rows of this width, in any order of summation.

        The gamma_n bound (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1) with sum |u
        v| <= 1, plus the rounding of both operands and of a threshold.
        """
        error = (self.width + 8) * _ROUND32
        return min(error / (1 - error), 4.0) if error < 1 else 4.0

    @property
    def fine_margin(self) -> float:
        """The same bound for float64 products."""
        return (self.width + 16) * 2 * _ROUND64

    def norms(self) -> Floats:
        """L2 norm of every row (K,): 0 for zero rows, inf or nan for non-finite ones."""
        with np.errstate(over="ignore"):
            norms: Floats = np.ldexp(self._lengths, self._exponents)
        return norms

    def block_rows(self, itemsize: int = 8) -> int:
        """Rows that fit a working block."""
        return int(np.clip((_CHUNK_BYTES * 4) // (max(1, self.width) * itemsize), 64, 1024))

    def exact(self, at: Indices | slice) -> Floats:
        """Float64 unit rows; rows without a direction are all zero."""
        scaled = self._scaled(at)
        lengths = self._lengths[at]
        usable = np.isfinite(lengths) & (lengths > 0)
        if not usable.all():
            scaled[~usable] = 0
        return np.divide(scaled, np.where(usable, lengths, 1)[:, None], out=scaled)

    def screen(self, at: Indices) -> Singles:
        """Float32 unit rows of the ascending indices `at`, a view where possible: do not write to it."""
        source = self._screens()
        run = len(at) > 0 and int(at[-1]) - int(at[0]) == len(at) - 1
        where = slice(int(at[0]), int(at[-1]) + 1) if run else at
        return self.exact(where).astype(np.float32) if source is None else source[where]

    def cosine(self, i: Indices, j: Indices) -> Floats:
        """Float64 cosines of the pairs (i, j), accurate also close to 1: there from ||u_i - u_j||^2."""
        result = np.empty(len(i))
        step = max(1, _CHUNK_BYTES // (16 * max(1, self.width)))
        for start in range(0, len(i), step):
            part = slice(start, start + step)
            result[part] = _cosine(self.exact(i[part]), self.exact(j[part]))
        return result

    def ratio(self, i: Indices, j: Indices) -> Floats:
        """Norm of row i over norm of row j, for rows that have a direction (0 or inf where float64 ends)."""
        with np.errstate(all="ignore"):
            quotient = self._lengths[i] / self._lengths[j]
            ratio: Floats = np.ldexp(quotient, self._exponents[i] - self._exponents[j])
        return ratio

    def from_cosine(self, cosine: Floats, i: Indices, j: Indices, metric: Metric) -> Floats:
        """Turn cosines of pairs into `metric`; 'copy' is 2<a, b> / (|a|^2 + |b|^2) = cos * 2 / (r + 1/r)."""
        if metric == "copy":
            return cosine * self._evenness(i, j)
        return np.abs(cosine) if metric == "absolute" else cosine

    def similarity(self, i: Indices, j: Indices, metric: Metric = "cosine") -> Floats:
        """Float64 similarity of the pairs (i, j): the number that decides whether they are an edge."""
        return self.from_cosine(self.cosine(i, j), i, j, metric)

    def _evenness(self, i: Indices, j: Indices) -> Floats:
        ratio = self.ratio(i, j)
        with np.errstate(all="ignore"):
            evenness: Floats = 2 / (ratio + 1 / ratio)
        evenness[np.isnan(evenness)] = 0
        return evenness

    def _screens(self) -> Singles | None:
        if self._cache is None and 4 * self.count * self.width <= _CACHE_BYTES:
            self._cache = np.empty((self.count, self.width), np.float32)
            for part in self._parts():
                self._cache[part] = self.exact(part)
        return self._cache

    def _scaled(self, at: Indices | slice) -> Floats:
        rows = self.rows[at].astype(np.float64)
        if self._wide:
            np.ldexp(rows, -self._exponents[at][:, None], out=rows)
        return rows

    def _measure(self) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            for part in self._parts():
                if self._wide:
                    self._exponents[part] = _exponents(self.rows[part])
                scaled = self._scaled(part)
                self._lengths[part] = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))

    def _parts(self) -> list[slice]:
        step = self.block_rows()
        return [slice(start, start + step) for start in range(0, self.count, step)]


def effective_tau(tau: float) -> float:
    """Check a threshold and cap it at `ONE`. Raises `UsageError` outside (0, 1]."""
    if not 0 < tau <= 1:
        raise UsageError(f"tau must lie in (0, 1], not {tau}")
    return min(float(tau), ONE)


def check_metric(metric: str) -> None:
    """Raise `UsageError` for an unknown metric."""
    if metric not in get_args(Metric):
        raise UsageError(f"unknown metric {metric!r}", remedy=f"use one of {', '.join(get_args(Metric))}")


def _real_matrix(rows: ArrayLike) -> NDArray[Any]:
    matrix = np.asarray(rows)
    if matrix.ndim != 2:
        raise UsageError(f"filters must be a matrix (filters, weights), not of rank {matrix.ndim}")
    if matrix.dtype.kind not in "fiubV" or matrix.dtype.names or matrix.dtype.type is np.void:
        raise UsageError(f"filters must be real numbers, not {matrix.dtype}")
    return matrix


def _exponents(rows: NDArray[Any]) -> NDArray[np.int32]:
    peaks = np.abs(rows).max(axis=1, initial=0).astype(np.float64)
    exponents: NDArray[np.int32] = np.frexp(np.where(np.isfinite(peaks), peaks, 0))[1].astype(np.int32)
    return exponents


def _cosine(a: Floats, b: Floats) -> Floats:
    products: Floats = np.einsum("ij,ij->i", a, b)
    near = np.abs(products) > 0.9
    if near.any():
        sign = np.sign(products[near])
        apart = a[near] - sign[:, None] * b[near]
        products[near] = sign * (1 - np.einsum("ij,ij->i", apart, apart) / 2)
    return products
