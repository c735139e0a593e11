"""The relation between two channels, h_j = a h_i + kappa, and what "equal" means for stored floats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Index: TypeAlias = npt.NDArray[np.int64]

EXACT_ULP = 4.0


def ulp(magnitude: npt.ArrayLike, dtype: np.dtype[np.generic]) -> Array:
    """Distance between neighbouring floats of `dtype` at `magnitude` (float64 array of its shape)."""
    x = np.abs(np.asarray(magnitude, np.float64))
    bits = mantissa_bits(dtype)
    step = np.exp2(np.floor(np.log2(np.maximum(x, _tiny(dtype)))) - bits)
    return np.where(x > 0, step, 0.0)


def _tiny(dtype: np.dtype[np.generic]) -> float:
    """The smallest normal number: below it the floats are evenly spaced."""
    if dtype.kind == "f":
        return float(np.finfo(dtype).tiny)  # type: ignore[type-var]
    if dtype.kind in "iub":
        return float(np.finfo(np.float64).tiny)
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]


def mantissa_bits(dtype: np.dtype[np.generic]) -> int:
    """Stored mantissa bits of a float type; integers count as exact."""
    if dtype.kind == "f":
        return int(np.finfo(dtype).nmant)  # type: ignore[type-var]
    if dtype.kind in "iub":
        return 52
    import ml_dtypes

    return int(ml_dtypes.finfo(dtype).nmant)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Relation:
    """h_j = a h_i + kappa for m pairs (i, j) of channels, all arrays of shape (m,).

    `noise` is the absolute error of kappa that rounding of the stored weights explains; `ok` is False where
    no such relation is known. kappa within the noise is zero, and exact from then on. Two scales are equal
    within `rtol` (4 ulp of the stored type).
    """

    a: Array
    kappa: Array
    noise: Array
    ok: Mask
    rtol: float = EXACT_ULP * 2.0**-23

    def __post_init__(self) -> None:
        zero = np.abs(self.kappa) <= self.noise
        object.__setattr__(self, "kappa", np.where(zero, 0.0, self.kappa))
        object.__setattr__(self, "noise", np.where(zero, 0.0, self.noise))

    def where(self, condition: Mask) -> Relation:
        """The same relation, lost where `condition` is False."""
        return replace(self, ok=self.ok & condition)

    def lost(self) -> Relation:
        """No relation left."""
        return replace(self, ok=np.zeros_like(self.ok))

    def scaled(self, factor: npt.ArrayLike) -> Relation:
        """h_j -> factor * h_j on the j side only."""
        f = np.asarray(factor, np.float64)
        return replace(self, a=self.a * f, kappa=self.kappa * f, noise=self.noise * np.abs(f))

    @property
    def is_one(self) -> Mask:
        """a = 1 up to the rounding of stored weights."""
        return close(self.a, 1.0, self.rtol)

    @property
    def is_minus_one(self) -> Mask:
        """a = -1 up to the rounding of stored weights."""
        return close(self.a, -1.0, self.rtol)

    @property
    def is_positive(self) -> Mask:
        """a > 0."""
        return self.a > 0

    @property
    def no_shift(self) -> Mask:
        """kappa = 0 (already snapped to zero within its noise)."""
        return np.asarray(self.kappa == 0, bool)


def close(x: npt.ArrayLike, y: npt.ArrayLike, rtol: float) -> Mask:
    """Scales equal up to the rounding of the weights they were fitted to."""
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return np.asarray(np.abs(a - b) <= rtol * np.maximum(np.abs(a), np.abs(b)), bool)


@dataclass(frozen=True)
class Fit:
    """Least-squares scale of row j on row i for m pairs: scale, largest residual, proven or not: (m,)."""

    a: Array
    residual: Array
    exact: Mask


def fit(
    rows: npt.NDArray[np.generic],
    i: Index,
    j: Index,
    ulps: float = EXACT_ULP,
    dtype: np.dtype[np.generic] | None = None,
) -> Fit:
    """Fit row j = a row i, with a = 1 or -1 where that is already exact.

    Exact: every entry agrees to `ulps` units in its own last place (that of the largest entry would hide
    small entries that a large input makes count). `rows` is (channels, d); `dtype` the type it is stored in,
    where that is narrower. Pairs go in blocks: no more than about 100 MB is held.
    """
    step = max(1, (1 << 21) // max(rows.shape[1], 1))
    stored = dtype or rows.dtype
    parts = [_fit_block(rows, i[s : s + step], j[s : s + step], ulps, stored) for s in range(0, len(i), step)]
    if not parts:
        return Fit(np.zeros(0), np.zeros(0), np.zeros(0, bool))
    a, residual, exact = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Fit(a, residual, np.asarray(exact, bool))


def _fit_block(
    rows: npt.NDArray[np.generic], i: Index, j: Index, ulps: float, dtype: np.dtype[np.generic]
) -> tuple[Array, Array, Mask]:
    u, v = rows[i].astype(np.float64), rows[j].astype(np.float64)
    a = _scale(u, v)
    residual, exact = _compare(u, v, a, ulps, dtype)
    for unit in (1.0, -1.0):
        error, same = _compare(u, v, np.full_like(a, unit), ulps, dtype)
        snap = same & (np.abs(a - unit) < 0.5)
        a, residual, exact = np.where(snap, unit, a), np.where(snap, error, residual), exact | snap
    return a, residual, np.asarray(exact, bool)


def _scale(u: Array, v: Array) -> Array:
    """<u, v> / <u, u> with one step of refinement; 0 where u is zero."""
    norm = np.einsum("md,md->m", u, u)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.where(norm > 0, np.einsum("md,md->m", u, v) / norm, 0.0)
        return np.where(norm > 0, a + np.einsum("md,md->m", v - a[:, None] * u, u) / norm, 0.0)


def _compare(u: Array, v: Array, a: Array, ulps: float, dtype: np.dtype[np.generic]) -> tuple[Array, Mask]:
    """(largest |v − a u|, every entry within `ulps` of its own last place)."""
    scaled = a[:, None] * u
    apart = np.abs(v - scaled)
    allowed = ulps * ulp(np.maximum(np.abs(v), np.abs(scaled)), dtype)
    return apart.max(1, initial=0.0), np.asarray((apart <= allowed).all(1), bool)
