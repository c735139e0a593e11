"""Activations: functions of one element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from onnxdup.channels.relation import Array, Relation, close
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.transfer.base import (
    Constants,
    Pairs,
    Parameter,
    Related,
    only,
    only_constant,
)


@dataclass(frozen=True)
class Pointwise:
    """An activation φ applied to each element; subclasses say which relations pass.

    `lean`: φ(z) − φ(−z) = lean · z for every z.
    """

    apply: Callable[[Array], Array]
    lean: float | None = field(default=None, kw_only=True)

    @property
    def symmetry(self) -> Symmetry:
        """Copies pass every deterministic function."""
        return Symmetry.COPY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨1, 0⟩ only."""
        r = only(h)
        return r.where(r.is_one & r.no_shift)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """φ(v)."""
        value = only_constant(v)
        with np.errstate(all="ignore"):
            out = np.asarray(self.apply(value), np.float64)
        return np.where(np.isfinite(out) & np.isfinite(value), out, np.nan)


@dataclass(frozen=True)
class Homogeneous(Pointwise):
    """φ(a z) = a φ(z) for a > 0: Relu, LeakyRelu, Clip to [0, ∞)."""

    @property
    def symmetry(self) -> Symmetry:
        """Positive scales."""
        return Symmetry.POSITIVE

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a > 0, 0⟩ → ⟨a, 0⟩."""
        r = only(h)
        return r.where(r.is_positive & r.no_shift)


@dataclass(frozen=True)
class Slopes:
    """PRelu with a slope per channel."""

    slope: Parameter
    symmetry: Symmetry = Symmetry.POSITIVE

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a > 0, 0⟩ → ⟨a, 0⟩ where slopes agree; ⟨a < 0, 0⟩ → ⟨s_j a, 0⟩ where s_i s_j = 1."""
        r, s = only(h), g.of(self.slope)
        si, sj = s[g.i], s[g.j]
        same = (si == sj).all(1)
        reciprocal = close(si * sj, 1.0, 2 * r.rtol).all(1) & (sj == sj[:, :1]).all(1)
        a = np.where(r.a > 0, r.a, r.a * sj[:, 0])
        ok = r.ok & r.no_shift & np.where(r.a > 0, same, (r.a < 0) & reciprocal)
        return Relation(a, r.kappa, r.noise, ok, r.rtol)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """v or slope·v."""
        value, s = only_constant(v)[:, None], g.of(self.slope)
        out = np.where(value < 0, value * s, value) + 0 * s
        return np.where((out == out[:, :1]).all(1) & ~np.isnan(value[:, 0]), out[:, 0], np.nan)


@dataclass(frozen=True)
class Absolute(Pointwise):
    """|a z| = |a| |z|."""

    @property
    def symmetry(self) -> Symmetry:
        """Any scale."""
        return Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a ≠ 0, 0⟩ → ⟨|a|, 0⟩."""
        r = only(h)
        return Relation(np.abs(r.a), r.kappa, r.noise, r.ok & r.no_shift, r.rtol)


@dataclass(frozen=True)
class Odd(Pointwise):
    """φ(−z) = −φ(z): Tanh, Erf, Sin, Atan, Softsign."""

    @property
    def symmetry(self) -> Symmetry:
        """Sign changes."""
        return Symmetry.SIGN

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨±1, 0⟩ → same."""
        r = only(h)
        return r.where((r.is_one | r.is_minus_one) & r.no_shift)


@dataclass(frozen=True)
class Even(Pointwise):
    """φ(−z) = φ(z): Cos, Cosh."""

    @property
    def symmetry(self) -> Symmetry:
        """Sign changes (which the function removes)."""
        return Symmetry.SIGN

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨±1, 0⟩ → ⟨1, 0⟩."""
        r = only(h)
        return Relation(
            np.ones_like(r.a), r.kappa, r.noise, r.ok & (r.is_one | r.is_minus_one) & r.no_shift, r.rtol
        )


@dataclass(frozen=True)
class PointSymmetric(Pointwise):
    """φ(2p − z) = 2q − φ(z): Sigmoid (p = 0, q = ½), HardSigmoid, Clip to [lo, hi]."""

    p: float = 0.0
    q: float = 0.0

    @property
    def symmetry(self) -> Symmetry:
        """Symmetric about the origin: sign changes."""
        return Symmetry.SIGN if self.p == self.q == 0 else Symmetry.COPY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨1, 0⟩ → ⟨1, 0⟩; ⟨−1, 2p⟩ → ⟨−1, 2q⟩."""
        r = only(h)
        same = r.is_one & r.no_shift
        mirrored = r.is_minus_one & (np.abs(r.kappa - 2 * self.p) <= r.noise + r.rtol * abs(self.p))
        kappa = np.where(mirrored, 2 * self.q, 0.0)
        return Relation(
            np.where(mirrored, -1.0, 1.0), kappa, np.zeros_like(kappa), r.ok & (same | mirrored), r.rtol
        )


@dataclass(frozen=True)
class Powers(Pointwise):
    """φ(a z) = ψ(a) φ(z) for a > 0: Sqrt, Reciprocal, Sign, Pow with a constant exponent.

    `even`: φ(−z) = φ(z); `odd`: φ(−z) = −φ(z).
    """

    gain: Callable[[Array], Array] = np.abs
    even: bool = False
    odd: bool = False

    @property
    def symmetry(self) -> Symmetry:
        """Positive scales."""
        return Symmetry.POSITIVE

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a > 0, 0⟩ → ⟨ψ(a), 0⟩; for even powers any a ≠ 0."""
        r = only(h)
        fits = (r.a != 0) if self.even else r.is_positive
        with np.errstate(all="ignore"):
            a = self.gain(np.abs(r.a) if self.even else r.a)
        return Relation(a, r.kappa, r.noise, r.ok & fits & r.no_shift & np.isfinite(a), r.rtol)


@dataclass(frozen=True)
class Exponential(Pointwise):
    """exp(z + kappa) = e^kappa exp(z)."""

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨1, kappa⟩ → ⟨e^kappa, 0⟩."""
        r = only(h)
        zero = np.zeros_like(r.kappa)
        return Relation(np.exp(np.minimum(r.kappa, 500)), zero, zero, r.ok & r.is_one, r.rtol)


@dataclass(frozen=True)
class Logarithm(Pointwise):
    """log(a z) = log z + ln a."""

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a > 0, 0⟩ → ⟨1, ln a⟩."""
        r = only(h)
        with np.errstate(all="ignore"):
            kappa = np.where(r.is_one, 0.0, np.log(np.abs(r.a)))
        return Relation(
            np.ones_like(r.a), kappa, r.rtol + 0 * kappa, r.ok & r.is_positive & r.no_shift, r.rtol
        )
