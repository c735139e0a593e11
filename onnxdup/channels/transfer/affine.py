"""Scales, shifts, movement and filters of one channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels.relation import Array, Relation, close, fit
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.transfer.base import (
    Constants,
    Pairs,
    Parameter,
    PerChannel,
    Related,
    only,
    only_constant,
    uniform,
)


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
    `mean` and `spread` are mean and standard deviation of the result over the training data, where the
    operator knows them (BatchNormalization: beta and |gamma|).
    """

    scale: Parameter = 1.0
    shift: Parameter = 0.0
    shift_use: object | None = None
    shift_gain: float = 1.0
    mean: Parameter | None = None
    spread: Parameter | None = None

    @property
    def symmetry(self) -> Symmetry:
        """A stored shift is rescaled with the channel; one that is the same for all channels admits copies
        only.
        """
        fixed = self.shift_use is None and self.shift != 0.0
        return Symmetry.COPY if fixed else Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a s_j/s_i, s_j kappa + t_j − a(s_j/s_i) t_i⟩, the same for every copy of a composite channel."""
        r, s, t = only(h), g.of(self.scale), g.of(self.shift)
        si, sj, ti, tj = s[g.i], s[g.j], t[g.i], t[g.j]
        with np.errstate(all="ignore"):  # a channel that is multiplied by zero has no relation
            a = r.a[:, None] * sj / si
            kappa = sj * r.kappa[:, None] + tj - a * ti
            terms = np.abs(t) if self.mean is None else np.abs(t) + np.abs(g.of(self.mean))
            noise = np.abs(sj) * r.noise[:, None] + r.rtol * np.maximum(terms[g.j], np.abs(a) * terms[g.i])
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
class Stack:
    """The same channels from several activations: along another axis, or twice along their own."""

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
