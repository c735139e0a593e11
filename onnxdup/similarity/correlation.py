"""SV-CCA: how much of one set of variables is a linear function of another, direction by direction.

Raghu, Gilmer, Yosinski, Sohl-Dickstein, "SVCCA" (2017): keep the singular directions that hold 99 % of the
energy of each set, then take the canonical correlations of the two subspaces (cosines of their principal
angles: Björck and Golub 1973). Their mean does not change when a set is rotated, scaled as a whole or
shifted, nor, with `energy` 1, under any invertible linear map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, svd, svdvals

from onnxdup.similarity.spectra import ENERGY, energy_rank
from onnxdup.similarity.units import Floats

_BY_GRAM = 0.999
"""Up to this energy e the squares of the directions kept are at least (1 - e) / n of the largest: far above
the rounding of a Gram matrix, whose eigenvectors cost a third of singular vectors.
"""
_QUADRATURE = 4096


def centred(rows: ArrayLike) -> Floats:
    """Rows (variables, samples) without their means, in float64; non-finite rows count as zero rows."""
    values: NDArray[Any] = np.asarray(rows, np.float64)
    values = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, 0.0)
    return np.asarray(values - values.mean(axis=1, keepdims=True), np.float64)


def subspace(rows: ArrayLike, energy: float = ENERGY) -> Floats:
    """Orthonormal basis (samples, r) of the r directions that hold `energy` of the variables' variance.

    `rows` is (variables, samples). r is 0 where nothing varies. Directions within the rounding of the
    type of `rows` are left out also with `energy` 1.
    """
    data, rounding = centred(rows), _rounding(rows)
    if not data.size or not data.any():
        return np.empty((data.shape[1], 0))
    data /= np.abs(data).max()
    if energy <= _BY_GRAM:
        return _by_gram(data, energy, rounding)
    _, values, directions = svd(data, full_matrices=False, check_finite=False)
    return np.asarray(directions[: _kept(values, energy, max(data.shape) * rounding)].T, np.float64)


def canonical_correlations(first: Floats, second: Floats) -> Floats:
    """Correlations (min(r, s),) in descending order of two subspaces, given as `subspace` returns them."""
    if not first.shape[1] or not second.shape[1]:
        return np.empty(0)
    return np.asarray(np.clip(svdvals(first.T @ second, check_finite=False), 0, 1), np.float64)


def chance_correlation(first: int, second: int, samples: int) -> float:
    """Mean canonical correlation of two independent random subspaces of these dimensions.

    `samples` counts degrees of freedom: one less than the samples of centred variables. The limit law of
    Wachter (1980), good to about 0.02 from ten degrees of freedom on; where first + second > samples, that
    many correlations are 1 whatever the data.
    """
    few, many = sorted((first, second))
    if few <= 0:
        return float("nan")
    if many >= samples:
        return 1.0
    forced = max(0, few + many - samples) / few
    alpha, beta = few / samples, many / samples
    root, other = np.sqrt(alpha * (1 - beta)), np.sqrt(beta * (1 - alpha))
    low, high = (root - other) ** 2, min((root + other) ** 2, 1.0)
    angle = (np.arange(_QUADRATURE) + 0.5) * np.pi / _QUADRATURE
    square = low + (high - low) * (1 + np.cos(angle)) / 2
    weight = np.sin(angle) ** 2 / (square * (1 - square))
    return float(forced + (1 - forced) * (weight @ np.sqrt(square)) / weight.sum())


def _rounding(rows: ArrayLike) -> float:
    """Distance of floats at 1, of the type of `rows`; float64's where it is no float type of numpy."""
    kind = np.asarray(rows).dtype
    return float(np.finfo(kind if kind.kind == "f" else np.float64).eps)


def _by_gram(data: Floats, energy: float, rounding: float) -> Floats:
    """The same from the eigenvectors of the smaller Gram matrix, of variables or of samples."""
    few = data.shape[0] <= data.shape[1]
    squares, vectors = eigh(data @ data.T if few else data.T @ data, check_finite=False)
    values = np.sqrt(np.maximum(squares[::-1], 0))
    kept = _kept(values, energy, max(data.shape) * rounding)
    top = vectors[:, ::-1][:, :kept]
    return np.asarray(data.T @ top / values[:kept] if few else top, np.float64)


def _kept(values: Floats, energy: float, tolerance: float) -> int:
    resolved = int((values > values[0] * tolerance).sum())
    return min(energy_rank(values, energy), resolved)
