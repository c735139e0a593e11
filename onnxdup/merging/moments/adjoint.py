"""Derivatives of Gram matrices that are given as Hermite series: F_ij = Σ_n a_n^i b_n^j rho_ij^n.

With dL/dF given, dL/drho = dL/dF ∘ Σ_n n a_n b_n rho^(n−1), and dL/db_n^j = Σ_i dL/dF_ij a_n^i rho_ij^n. The
coefficients of a unit with mean m and spread s depend on both by Stein's lemma, without a derivative of the
activation: s db_n/dm = √(n+1) b_(n+1), s db_n/ds = √((n+1)(n+2)) b_(n+2) + n b_n.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxdup.merging.plan import Array

EXTRA = 2
"""Orders beyond the last one used that derivatives of coefficients need."""
CHUNK = 1 << 15
"""Entries that are worked on together, so that they stay in the cache."""


def gram_and_slope(left: Array, right: Array, rho: Array, first: int = 0) -> tuple[Array, Array]:
    """(F, dF/drho), each (len(left), len(right)), the series from order `first`."""
    value, slope = np.zeros_like(rho), np.zeros_like(rho)
    for rows in _chunks(rho):
        f, d, r = value[rows], slope[rows], rho[rows]
        for n in range(left.shape[1] - 1, -1, -1):
            term = left[rows, n, None] * right[:, n]
            if n:
                d *= r
                d += n * term
            f *= r
            if n >= first:
                f += term
    return value, slope


def to_coefficients(weight: Array, left: Array, rho: Array, first: int = 0) -> Array:
    """dL/db for `weight` = dL/dF: (rho's columns, orders)."""
    out = np.zeros((rho.shape[1], left.shape[1]))
    for rows in _chunks(rho):
        powers = weight[rows] * rho[rows] ** first if first else weight[rows].copy()
        for n in range(first, left.shape[1]):
            out[:, n] += left[rows, n] @ powers
            powers *= rho[rows]
    return out


def to_mean_and_spread(weight: Array, b: Array, spread: Array) -> tuple[Array, Array]:
    """(dL/dm, dL/ds), each (units,), for `weight` = dL/db (units, orders) and b with `EXTRA` orders more."""
    n = np.arange(weight.shape[1])
    by_mean = np.sqrt(n + 1) * b[:, 1:-1]
    by_spread = np.sqrt((n + 1) * (n + 2)) * b[:, 2:] + n * b[:, :-2]
    return (weight * by_mean).sum(1) / spread, (weight * by_spread).sum(1) / spread


def _chunks(rho: Array) -> Iterator[slice]:
    step = max(1, CHUNK // max(rho.shape[1], 1))
    return (slice(k, k + step) for k in range(0, len(rho), step))
