"""Quantisation of activations: equal channels become equal integers, and integers equal values again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels.quantised import Dtype, as_codes, is_whole
from onnxdup.channels.relation import Array, Relation
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.transfer.base import Constants, Pairs, Parameter, Related, only, only_constant

TIE = 1e-4


@dataclass(frozen=True)
class Quantise:
    """x → round(x / scale) + zero, saturated in `dtype`; scale and zero of the channel."""

    scale: Parameter
    zero: Parameter
    dtype: Dtype
    symmetry: Symmetry = Symmetry.COPY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨1, 0⟩ between channels of equal scale and zero."""
        return _copies(only(h), self.scale, self.zero, g)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """The code of a constant; not followed where float32 may round to the neighbour."""
        scaled = only_constant(v)[:, None] / g.of(self.scale)
        near = np.abs(scaled - np.floor(scaled) - 0.5) < TIE
        if not is_whole(self.dtype):
            return np.full(len(scaled), np.nan)
        codes = np.where(near | np.isnan(scaled), np.nan, as_codes(scaled, g.of(self.zero), self.dtype))
        return np.asarray(np.where((codes == codes[:, :1]).all(1), codes[:, 0], np.nan))


@dataclass(frozen=True)
class Dequantise:
    """q → scale · (q − zero)."""

    scale: Parameter
    zero: Parameter
    symmetry: Symmetry = Symmetry.COPY

    def relate(self, h: Related, g: Pairs) -> Relation:
        """⟨1, 0⟩ between channels of equal scale and zero."""
        return _copies(only(h), self.scale, self.zero, g)

    def constant(self, v: Constants, g: Pairs) -> Array:
        """The value of a constant code."""
        value = (only_constant(v)[:, None] - g.of(self.zero)) * g.of(self.scale)
        return np.asarray(np.where((value == value[:, :1]).all(1), value[:, 0], np.nan))


def _copies(r: Relation, scale: Parameter, zero: Parameter, g: Pairs) -> Relation:
    equal = np.ones(len(g.i), bool)
    for parameter in (scale, zero):
        p = g.of(parameter)
        equal &= (p[g.i] == p[g.j]).all(1)
    return r.where(r.is_one & r.no_shift & equal)
