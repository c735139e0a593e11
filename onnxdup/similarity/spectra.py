"""Singular values of a layer and what the paper reads from them: 99 % energy rank, trace complexity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr, svdvals

from onnxdup.similarity.units import Floats, Units

ENERGY = 0.99

_TALL = 4
_SMALL = 1 << 23
"""Up to this aspect ratio or this many entries, LAPACK gets the whole matrix."""


@dataclass(frozen=True)
class Spectrum:
    """Singular values (min(n, m),) in descending order of an n x m weight, and numbers derived from them."""

    values: Floats
    shape: tuple[int, int]

    @property
    def energy_rank(self) -> int:
        """Smallest number of singular values that hold 99 % of the energy."""
        return energy_rank(self.values)

    @property
    def trace_complexity(self) -> float:
        """||W||_tr / sqrt(n m), the sum of the singular values over the root of the size."""
        size = self.shape[0] * self.shape[1]
        return float(self.values.sum() / np.sqrt(size)) if size else 0.0

    @property
    def spectral_norm(self) -> float:
        """Largest singular value."""
        return float(self.values.max(initial=0))

    @property
    def frobenius_norm(self) -> float:
        """Root of the sum of squares."""
        scale = self.spectral_norm
        return float(scale * np.sqrt(np.sum((self.values / scale) ** 2))) if scale else 0.0


def spectrum(rows: ArrayLike | Units) -> Spectrum:
    """Singular values of rows (n, m) of any real dtype, accurate to float64 rounding of the largest.

    A long side is folded block by block into a triangular factor first (QR, as in tall-skinny QR of Demmel
    et al. 2012), so memory is about the square of the short side. Gram eigenvalues would lose everything
    below 1e-8 of the largest. Non-finite rows count as zero rows.
    """
    units = Units.of(rows)
    matrix: NDArray[Any] = units.rows
    if len(units.nonfinite):
        matrix = matrix.astype(np.float64)
        matrix[units.nonfinite] = 0
    shape = (units.count, units.width)
    if min(shape) == 0:
        return Spectrum(np.empty(0), shape)
    tall = matrix if shape[0] >= shape[1] else matrix.T
    peak = float(max(abs(float(matrix.max())), abs(float(matrix.min())))) or 1.0
    return Spectrum(peak * svdvals(_triangle(tall, peak), check_finite=False), shape)


def energy_rank(values: ArrayLike, share: float = ENERGY) -> int:
    """Smallest r such that the r largest singular values hold `share` of the sum of squares; 0 for a zero
    matrix.
    """
    ordered = np.sort(np.asarray(values, np.float64))[::-1]
    if not len(ordered) or ordered[0] == 0:
        return 0
    energy = np.cumsum((ordered / ordered[0]) ** 2)
    return min(int(np.searchsorted(energy, share * energy[-1])) + 1, len(ordered))


def row_norms(rows: ArrayLike | Units, order: int = 2) -> Floats:
    """L1 (`order` 1) or L2 norm (n,) of every row, in float64."""
    units = Units.of(rows)
    if order == 2:
        return units.norms()
    step = units.block_rows()
    parts = [
        np.abs(units.rows[start : start + step].astype(np.float64)).sum(axis=1)
        for start in range(0, units.count, step)
    ]
    return np.concatenate([np.empty(0), *parts])


def _triangle(tall: NDArray[Any], peak: float) -> Floats:
    """A small or square matrix with the singular values of tall / peak."""
    n, m = tall.shape
    if n <= _TALL * m or n * m <= _SMALL:
        return tall.astype(np.float64) / peak
    step = max(_TALL * m, 4096)
    upper = np.empty((0, m))
    for start in range(0, n, step):
        block = np.vstack([upper, tall[start : start + step].astype(np.float64) / peak])
        upper = np.asarray(qr(block, mode="r", overwrite_a=True, check_finite=False)[0][:m], np.float64)
    return upper
