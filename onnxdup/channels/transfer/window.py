"""Functions of all positions of one channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels.relation import Array, Relation
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.transfer.affine import Affine
from onnxdup.channels.transfer.base import (
    Constants,
    Pairs,
    Parameter,
    Related,
    only,
    only_constant,
)


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
