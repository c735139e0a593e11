"""What operators do to relations: ⟨a, kappa⟩ of two channels before, ⟨a, kappa⟩ after, or lost.

One class per kind of operator. Each says three things about the channels of a group:
`relate`: how the relation of a pair passes; `constant`: what becomes of a channel that is constant (NaN: it varies);
`symmetry`: which plain rescalings pass, whatever the parameters (the quick filter).
Derivations: h_j = a h_i + kappa inserted into the operator. Every rule declines (`ok` False) unless the result is
again of that form for *every* input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxdup.channels.ids import Ids
from onnxdup.channels.relation import Array, Index, Mask, Relation, close, fit
from onnxdup.channels.symmetry import Symmetry

Related: TypeAlias = Sequence[Relation | None]
Constants: TypeAlias = Sequence[Array | None]


@dataclass(frozen=True)
class PerChannel:
    """Values of a parameter along an axis with ids `ids`: `values()` is (len(ids), m), read when needed."""

    ids: Ids
    values: Callable[[], npt.NDArray[np.generic]]


Parameter: TypeAlias = PerChannel | float


class Pairs(Protocol):
    """What a transfer may ask about the group and the pairs (i, j) it is evaluated for."""

    i: Index
    j: Index
    ulps: float

    def of(self, parameter: Parameter) -> Array:
        """The parameter of every channel of the group: (channels, m)."""
        ...

    def stored(self, parameter: PerChannel) -> npt.NDArray[np.generic]:
        """The same in the stored type."""
        ...


class Transfer(Protocol):
    """See the module docstring."""

    @property
    def symmetry(self) -> Symmetry: ...
    def relate(self, h: Related, g: Pairs) -> Relation: ...
    def constant(self, v: Constants, g: Pairs) -> Array: ...


def only(items: Sequence[Relation | None]) -> Relation:
    """The one operand that carries the group."""
    return next(x for x in items if x is not None)


def only_constant(items: Constants) -> Array:
    """The one operand that carries the group."""
    return next(x for x in items if x is not None)


def uniform(values: Array, tolerance: npt.ArrayLike) -> tuple[Array, Mask]:
    """(m, copies) → one value per pair, and where all copies agree."""
    first = values[:, :1]
    return first[:, 0], np.asarray((np.abs(values - first) <= np.asarray(tolerance)).all(1), bool)


@dataclass(frozen=True)
class Same:
    """Elements are moved, copied or averaged with weights that sum to one."""

    keeps_shift: bool = True
    symmetry: Symmetry = Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a, kappa⟩ → same; behind a zero padding kappa must be 0."""
        r = only(h)
        return r if self.keeps_shift else r.where(r.no_shift)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """v → v; behind a zero padding only 0 stays constant."""
        value = only_constant(v)
        return value if self.keeps_shift else np.where(value == 0, value, np.nan)


@dataclass(frozen=True)
class Affine:
    """h → scale·h + shift per channel: BatchNormalization, Add, Sub, Mul, Div with constants, biases.

    Where a stored tensor holds the shift, shift = `shift_gain` · (tensor of the parameter axis `shift_use`).
    """

    scale: Parameter = 1.0
    shift: Parameter = 0.0
    shift_use: object | None = None
    shift_gain: float = 1.0

    @property
    def symmetry(self) -> Symmetry:
        """A stored shift is rescaled with the channel; one that is the same for all channels admits copies only."""
        fixed = self.shift_use is None and self.shift != 0.0
        return Symmetry.COPY if fixed else Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a s_j/s_i, s_j kappa + t_j − a(s_j/s_i) t_i⟩, the same for every copy of a composite channel."""
        r, s, t = only(h), g.of(self.scale), g.of(self.shift)
        si, sj, ti, tj = s[g.i], s[g.j], t[g.i], t[g.j]
        with np.errstate(divide="ignore", invalid="ignore"):
            a = r.a[:, None] * sj / si
        kappa = sj * r.kappa[:, None] + tj - a * ti
        noise = np.abs(sj) * r.noise[:, None] + r.rtol * np.maximum(np.abs(tj), np.abs(a * ti))
        a, kappa, noise = np.broadcast_arrays(a, kappa, noise)
        scale, agree = uniform(a, r.rtol * np.abs(a).max(1, keepdims=True))
        shift, level = uniform(kappa, noise.max(1, keepdims=True))
        return Relation(scale, shift, noise.max(1), r.ok & agree & level & np.isfinite(scale), r.rtol)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """s v + t; a channel multiplied by zero is constant, whatever it was."""
        s, t = np.broadcast_arrays(g.of(self.scale), g.of(self.shift))
        value = only_constant(v)[:, None]
        out = np.where(s == 0, t, s * np.where(np.isnan(value), 0, value) + t)
        out = np.where((s != 0) & np.isnan(value), np.nan, out)
        return np.where((out == out[:, :1]).all(1), out[:, 0], np.nan)


@dataclass(frozen=True)
class Pointwise:
    """An activation φ applied to each element; subclasses say which relations pass."""

    apply: Callable[[Array], Array]

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
        return Relation(np.ones_like(r.a), r.kappa, r.noise, r.ok & (r.is_one | r.is_minus_one) & r.no_shift, r.rtol)


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
        return Relation(np.where(mirrored, -1.0, 1.0), kappa, np.zeros_like(kappa), r.ok & (same | mirrored), r.rtol)


@dataclass(frozen=True)
class Powers(Pointwise):
    """φ(a z) = ψ(a) φ(z) for a > 0: Sqrt, Reciprocal, Sign, Pow with a constant exponent."""

    gain: Callable[[Array], Array] = np.abs
    even: bool = False

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
        return Relation(np.ones_like(r.a), kappa, r.rtol + 0 * kappa, r.ok & r.is_positive & r.no_shift, r.rtol)


@dataclass(frozen=True)
class Stack:
    """The same channels from several activations, side by side along another axis or twice along their own."""

    symmetry: Symmetry = Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """One ⟨a, kappa⟩ in all of them."""
        known = [r for r in h if r is not None]
        first, ok = known[0], known[0].ok
        for r in known[1:]:
            level = np.abs(r.kappa - first.kappa) <= r.noise + first.noise
            ok = ok & r.ok & close(r.a, first.a, 2 * r.rtol) & level
        return first.where(ok)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """v where all agree."""
        known = [x for x in v if x is not None]
        agree = np.all([x == known[0] for x in known], axis=0)
        return np.where(agree, known[0], np.nan)


@dataclass(frozen=True)
class Maximum:
    """The largest value of a window of the same channel (padding is −∞)."""

    symmetry: Symmetry = Symmetry.POSITIVE

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a > 0, any kappa⟩ → same."""
        r = only(h)
        return r.where(r.is_positive)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """v → v."""
        return only_constant(v)


@dataclass(frozen=True)
class Total:
    """The sum over `count` positions of the same channel; None where their number is not fixed."""

    count: int | None
    symmetry: Symmetry = Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a, kappa⟩ → ⟨a, count·kappa⟩."""
        r = only(h)
        if self.count is None:
            return r.where(r.no_shift)
        return Relation(r.a, r.kappa * self.count, r.noise * self.count, r.ok, r.rtol)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """count·v."""
        value = only_constant(v)
        return value * self.count if self.count is not None else np.where(value == 0, 0.0, np.nan)


@dataclass(frozen=True)
class Norm:
    """A norm over positions of the same channel: |a| comes out."""

    symmetry: Symmetry = Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a, 0⟩ → ⟨|a|, 0⟩."""
        r = only(h)
        return Relation(np.abs(r.a), r.kappa, r.noise, r.ok & r.no_shift & (r.a != 0), r.rtol)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """0 → 0; others depend on the number of positions."""
        value = only_constant(v)
        return np.where(value == 0, 0.0, np.nan)


@dataclass(frozen=True)
class Depthwise:
    """A filter of its own on each channel: h → k_c * h + b_c (`padded`: zeros enter at the border)."""

    kernel: PerChannel
    taps: int
    bias: Affine
    padded: bool

    @property
    def symmetry(self) -> Symmetry:
        """Kernel and bias are rescaled with the channel."""
        return self.bias.symmetry

    def relate(self, h: Related, g: Pairs) -> Relation:
        """k_j = t k_i: ⟨a t, kappa Σk_j + b_j − a t b_i⟩; kappa ≠ 0 behind zero padding is lost."""
        r, k = only(h), g.of(self.kernel)
        f = fit(g.stored(self.kernel), g.i, g.j, g.ulps)
        inner = np.abs(k).sum(1)[g.j]
        moved = Relation(r.a * f.a, r.kappa * k.sum(1)[g.j], r.noise * inner, r.ok, r.rtol)
        through = self.bias.relate([moved], g)
        return through.where(f.exact & (f.a != 0) & (r.no_shift | (not self._strict(k))))

    def constant(self, v: Constants, g: Pairs) -> Array:
        """v Σk + b; behind zero padding only where v = 0."""
        value, k = only_constant(v), g.of(self.kernel)
        dead = (k == 0).all(1)
        inside = np.where(dead, 0.0, value * k.sum(1))
        if self._strict(k):
            inside = np.where(dead | (value == 0), 0.0, np.nan)
        return self.bias.constant([inside], g)

    def _strict(self, k: Array) -> bool:
        """kappa would turn into a map (border) or differ between the copies of a composite channel."""
        return self.padded or k.shape[1] != self.taps


@dataclass(frozen=True)
class Sum:
    """h¹ ± h² of two activations that carry the same channels; `signs` per operand."""

    signs: tuple[float, ...]
    outside: bool = False
    symmetry: Symmetry = Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a, kappa¹⟩, ⟨a, kappa²⟩ → ⟨a, kappa¹ ± kappa²⟩ with one a; next to a summand without channels a = 1."""
        known = [(s, r) for s, r in zip(self.signs, h, strict=True) if r is not None]
        first = known[0][1]
        ok = first.ok if not self.outside else first.ok & first.is_one
        kappa, noise = np.zeros_like(first.a), np.zeros_like(first.a)
        for sign, r in known:
            ok = ok & r.ok & close(r.a, first.a, 2 * r.rtol)
            kappa, noise = kappa + sign * r.kappa, noise + r.noise
        return Relation(first.a, kappa, noise, ok, first.rtol)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """The sum of the constants."""
        known = [s * x for s, x in zip(self.signs, v, strict=True) if x is not None]
        return np.full_like(known[0], np.nan) if self.outside else np.sum(known, axis=0)


@dataclass(frozen=True)
class Product:
    """h¹ · h² element by element (gates), or h · u with u the same for all channels."""

    outside: bool = False

    @property
    def symmetry(self) -> Symmetry:
        """One scaled factor scales the product."""
        return Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a¹, 0⟩, ⟨a², 0⟩ → ⟨a¹a², 0⟩."""
        known = [r for r in h if r is not None]
        a, ok = np.ones_like(known[0].a), known[0].ok
        for r in known:
            a, ok = a * r.a, ok & r.ok & r.no_shift
        return Relation(a, np.zeros_like(a), np.zeros_like(a), ok, known[0].rtol * len(known))

    def constant(self, v: Constants, g: Pairs) -> Array:
        """The product; one zero factor is enough."""
        known = [x for x in v if x is not None]
        zero = np.any([x == 0 for x in known], axis=0)
        rest = np.full_like(known[0], np.nan) if self.outside else np.prod(known, axis=0)
        return np.where(zero, 0.0, rest)


@dataclass(frozen=True)
class Agree:
    """Any deterministic function of several activations, element by element: Max, Min (`monotone`), Div, Pow, Where."""

    monotone: bool = False
    outside: bool = False

    @property
    def symmetry(self) -> Symmetry:
        """Max and Min commute with positive scales."""
        return Symmetry.POSITIVE if self.monotone and not self.outside else Symmetry.COPY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """Max, Min: ⟨a > 0, kappa⟩ the same in both; otherwise ⟨1, 0⟩ in every operand."""
        known = [r for r in h if r is not None]
        first, ok = known[0], known[0].ok
        for r in known:
            same = close(r.a, first.a, 2 * r.rtol) & (np.abs(r.kappa - first.kappa) <= r.noise + first.noise)
            ok = ok & r.ok & (same & r.is_positive if self.monotone else r.is_one & r.no_shift)
        if self.outside:
            ok = ok & first.is_one & first.no_shift
        return first.where(ok)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """Not followed."""
        return np.full_like(only_constant(v), np.nan)


@dataclass(frozen=True)
class Standardise:
    """InstanceNormalization: mean and variance over positions are removed, then s_c·h + t_c."""

    scale: Parameter
    shift: Parameter
    symmetry: Symmetry = Symmetry.SIGN

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨±1, any kappa⟩ → ⟨±s_j/s_i, t_j ∓ (s_j/s_i) t_i⟩; kappa is erased with the mean."""
        r = only(h)
        zero = np.zeros_like(r.kappa)
        bare = Relation(np.where(r.is_one, 1.0, -1.0), zero, zero, r.ok & (r.is_one | r.is_minus_one), r.rtol)
        return Affine(self.scale, self.shift).relate([bare], g)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """A constant channel becomes its shift."""
        return Affine(self.scale, self.shift).constant([only_constant(v) * 0.0], g)


@dataclass(frozen=True)
class ShiftInvariant:
    """Softmax over positions (not over channels): a shift of the channel cancels."""

    keeps_shift: bool = False
    symmetry: Symmetry = Symmetry.COPY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨1, any kappa⟩ → ⟨1, 0⟩."""
        r = only(h)
        zero = np.zeros_like(r.kappa)
        return Relation(r.a, zero, zero, r.ok & r.is_one, r.rtol)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """Not followed: it depends on the number of positions."""
        return np.full_like(only_constant(v), np.nan)
