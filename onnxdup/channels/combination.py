"""One channel as a combination of several: h_j = Σ_k A_jk h_k + kappa, and what linear operators make of it.

Inserting the combination into s_j h_j + t_j gives coefficients A_jk s_j / s_k; sums need one A in all
operands. Everything that is not linear in each channel loses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from onnxdup.channels.flow import Reader
from onnxdup.channels.relation import Array, Index, Mask, close, ulp
from onnxdup.channels.transfer import Affine, Depthwise, Parameter, Product, Same, Stack, Sum, Total, Transfer

BLOCK = 1 << 22
"""Elements looked at together."""


@dataclass(frozen=True)
class Combination:
    """h_j = Σ_k a_jk h_k + kappa for m channels j of n: `a` is (m, n), everything else (m,).

    `noise` is the absolute error of kappa that rounding of the stored numbers explains: within it kappa is 0.
    """

    j: Index
    a: Array
    kappa: Array
    noise: Array
    ok: Mask
    rtol: float

    def __post_init__(self) -> None:
        zero = np.abs(self.kappa) <= self.noise
        object.__setattr__(self, "kappa", np.where(zero, 0.0, self.kappa))
        object.__setattr__(self, "noise", np.where(zero, 0.0, self.noise))

    @classmethod
    def start(cls, j: Index, a: Array, ok: Mask, rtol: float) -> Combination:
        """Rows of weights, which have no shift."""
        zero = np.zeros(len(j))
        return cls(j, a, zero, zero, ok, rtol)

    @property
    def no_shift(self) -> Mask:
        """kappa = 0."""
        return np.asarray(self.kappa == 0, bool)

    def where(self, condition: Mask) -> Combination:
        """The same, lost where `condition` is False."""
        return replace(self, ok=self.ok & condition)

    def lost(self) -> Combination:
        """Nothing left."""
        return replace(self, ok=np.zeros_like(self.ok))

    def shifted(self, odd: float, even: float = 0.0) -> Combination:
        """That of even + odd · h, for all channels alike."""
        rest = even * (1 - self.a.sum(1))
        noise = abs(odd) * self.noise + self.rtol * abs(even) * (1 + np.abs(self.a).sum(1))
        return replace(self, kappa=odd * self.kappa + rest, noise=np.where(self.ok, noise, 0.0))

    def alike(self, other: Combination) -> Mask:
        """Are the coefficients the same?"""
        size = np.maximum(np.abs(self.a), np.abs(other.a)).max(1, initial=0.0)
        apart = np.abs(self.a - other.a).max(1, initial=0.0)
        return np.asarray(apart <= 2 * self.rtol * size, bool)


def pushed(transfer: Transfer, known: Sequence[Combination | None], reader: Reader) -> Combination:
    """The combination behind an operator."""
    parts = [c for c in known if c is not None]
    if isinstance(transfer, Stack):
        return _united(transfer, parts)
    if isinstance(transfer, Sum):
        whole = len(parts) == len(known) and not transfer.outside
        return _united(transfer, parts) if whole else parts[0].lost()
    c = parts[0]
    if isinstance(transfer, Affine):
        return _scaled(transfer, c, reader)
    if isinstance(transfer, Same):
        return c if transfer.keeps_shift else c.where(c.no_shift)
    if isinstance(transfer, Product) and transfer.outside and len(parts) == 1:
        return c.where(c.no_shift)
    if isinstance(transfer, Total):
        return c.shifted(float(transfer.count)) if transfer.count is not None else c.where(c.no_shift)
    if isinstance(transfer, Depthwise):
        kernel = reader.of(transfer.kernel)
        even = c.where(np.full(len(c.ok), bool((kernel == kernel[0]).all())) & c.no_shift)
        return _scaled(transfer.bias, even, reader)
    return c.lost()


def _united(transfer: Sum | Stack, parts: list[Combination]) -> Combination:
    first, ok = parts[0], parts[0].ok
    for c in parts[1:]:
        ok = ok & c.ok & first.alike(c)
    if isinstance(transfer, Stack):
        for c in parts[1:]:
            ok = ok & (np.abs(c.kappa - first.kappa) <= c.noise + first.noise)
        return first.where(ok)
    kappa = np.sum([s * c.kappa for s, c in zip(transfer.signs, parts, strict=True)], axis=0)
    return replace(first, kappa=kappa, noise=np.sum([c.noise for c in parts], axis=0), ok=ok)


def _scaled(step: Affine, c: Combination, reader: Reader) -> Combination:
    s, uniform = factor(reader, step.scale)
    if not uniform:
        return c.lost()
    with np.errstate(all="ignore"):
        a = np.where(c.a != 0, c.a * (s[c.j, None] / s[None, :]), 0.0)
    good = np.isfinite(a).all(1) & (s[c.j] != 0)
    moved = replace(c, a=np.where(good[:, None], a, 0.0), ok=c.ok & good)
    return _with_shift(step, s, moved, reader)


def _with_shift(step: Affine, s: Array, c: Combination, reader: Reader) -> Combination:
    """t_j − Σ a t_k, the same for every copy of a composite channel."""
    t = reader.of(step.shift)
    terms = np.abs(t) if step.mean is None else np.abs(t) + np.abs(reader.of(step.mean))
    kappa = s[c.j, None] * c.kappa[:, None] + t[c.j] - c.a @ t
    size = np.maximum(terms[c.j], np.abs(c.a) @ terms)
    noise = np.abs(s[c.j, None]) * c.noise[:, None] + c.rtol * size
    level = (np.abs(kappa - kappa[:, :1]) <= noise.max(1, keepdims=True)).all(1)
    return replace(c, kappa=kappa[:, 0], noise=noise.max(1), ok=c.ok & level)


def factor(reader: Reader, scale: Parameter) -> tuple[Array, bool]:
    """One scale per channel (n,), and whether all copies of composite channels agree on it."""
    s = reader.of(scale)
    return s[:, 0], bool(close(s, s[:, :1], 2.0**-50).all())


def agreement(
    rows: npt.NDArray[np.generic], j: Index, a: Array, ulps: float, dtype: np.dtype[np.generic]
) -> tuple[Array, Mask]:
    """(largest |row_j − Σ_k a_jk row_k|, every entry within the last places of the terms summed): (m,) each.

    `rows` is (n, d), `dtype` the type they are stored in. An entry is held to the sizes of its own terms, not
    to those of its row. Products in float64 add an error of at most (terms · 2^-53) of their sum.
    """
    used = np.union1d(j, np.flatnonzero((a != 0).any(0)))
    small, place = a[:, used], np.searchsorted(used, j)
    values = rows[used].astype(np.float64)
    count = (small != 0).sum(1)
    residual, ok = np.zeros(len(j)), np.zeros(len(j), bool)
    step = max(1, BLOCK // max(values.shape[1], 1))
    for start in range(0, len(j), step):
        block = slice(start, start + step)
        own = values[place[block]]
        size = np.maximum(np.abs(own), np.abs(small[block]) @ np.abs(values))
        apart = np.abs(own - small[block] @ values)
        allowed = ulps * ulp(size, dtype) + (count[block, None] + 1) * 2.0**-53 * size
        residual[block], ok[block] = apart.max(1, initial=0.0), (apart <= allowed).all(1)
    return residual, ok
