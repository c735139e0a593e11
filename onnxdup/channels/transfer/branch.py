"""Functions of several activations, element by element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels.relation import Array, Relation, close
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.transfer.base import (
    Constants,
    Pairs,
    Related,
    only_constant,
)


@dataclass(frozen=True)
class Sum:
    """h¹ ± h² of two activations that carry the same channels; `signs` per operand."""

    signs: tuple[float, ...]
    outside: bool = False
    symmetry: Symmetry = Symmetry.ANY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨a, kappa¹⟩, ⟨a, kappa²⟩ → ⟨a, kappa¹ ± kappa²⟩ with one a; next to a summand without channels a
        = 1.
        """
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
    """Any deterministic function of several activations, element by element: Max, Min (`monotone`), Div,
    Pow, Where.
    """

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
