"""Exact relations among more than two channels.

*Linear dependence.* Where the rows of a group meet nothing but linear operators, w_j = Σ a_k w_k makes
channel j the same combination of the others: the width falls to the rank of the rows; sign and scale are
free.

*Opposite pairs.* Where F(z) − F(−z) = c z (see `channels.parity`), a pair of opposite units k+, k− spans the
pre-activation itself, so m pairs whose pre-activations have rank r span only m + r dimensions: m − r units
are combinations of others, h_j+ = h_j− + Σ a_k (h_k+ − h_k−). For F that scale (Relu, LeakyRelu, PRelu) the
two units of a pair need be opposite up to a positive factor only.

Candidates come from least squares; each is proven entry by entry, and pushed through every operator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from onnxdup.channels import ChannelGroup, Reader
from onnxdup.channels.combination import Combination, agreement
from onnxdup.channels.flow import relation_behind
from onnxdup.channels.mixing import Forms, forms, mixed
from onnxdup.channels.parity import Parity, Path, path
from onnxdup.channels.relation import mantissa_bits
from onnxdup.merging.basis import basis
from onnxdup.merging.plan import Array, Index

LARGEST = 4096
"""Linear groups beyond so many channels are left alone: rank takes a time that grows with the cube."""
ENTRIES = 1 << 28
FEWEST_BITS = 23
"""Sums of several rows of half precision agree by chance too easily."""
WINDOW = 64
"""With so many of the channels that follow it a channel of a large parallel class is compared."""


@dataclass(frozen=True)
class Mixed:
    """Channels `j` (m,) as combinations, one `Combination` per sink, and the residuals of their rows."""

    rule: str
    j: Index
    at: tuple[Combination, ...]
    residual: Array

    @property
    def ok(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Proven at every sink."""
        good = np.ones(len(self.j), bool)
        for c in self.at:
            good &= c.ok
        return good


def candidate_path(group: ChannelGroup) -> Path | None:
    """The path of a group in which several channels may be related at all."""
    if group.quantised or group.recurrences or any(s.use is None for s in group.sinks) or not group.sinks:
        return None
    if any(mantissa_bits(s.use.constant.dtype) < FEWEST_BITS for s in group.sources):
        return None
    found = path(group)
    return found if found is not None and (found.linear or found.leaning) else None


def linear_dependence(found: Path, reader: Reader, alive: Index, ulps: float) -> Mixed | None:
    """Channels whose rows are combinations of others', in a group that is linear throughout."""
    group = reader.group
    if not found.linear or not 1 < len(alive) <= LARGEST or _entries(group) > ENTRIES:
        return None
    shapes = forms(found, reader)
    gains = None if shapes is None else shapes.gains()
    if shapes is None or gains is None or len(gains) < len(group.sources):
        return None
    strict = [f.shift[alive] for f in shapes.strict]
    rows = np.concatenate([*_weights(reader, gains, alive), *strict], 1)
    chosen = basis(rows, _bits(group))
    if chosen is None:
        return None
    j = alive[chosen.rest]
    a = np.zeros((len(j), group.size))
    a[:, alive[chosen.kept]] = chosen.a
    start, residual = _start(reader, gains, j, a, ulps)
    return Mixed("linear combination", j, tuple(mixed(found, reader, start)), residual)


def _entries(group: ChannelGroup) -> int:
    return sum(math.prod(s.use.constant.shape) for s in group.sources)


def _bits(group: ChannelGroup) -> int:
    return min(mantissa_bits(s.use.constant.dtype) for s in group.sources)


def _weights(reader: Reader, gains: Sequence[Array], some: Index) -> list[Array]:
    """Rows of each source as they arrive: (channels, d)."""
    sources = reader.group.sources
    return [
        reader.stored(s.rows)[some].astype(np.float64) * g[some, None]
        for s, g in zip(sources, gains, strict=True)
    ]


def _start(
    reader: Reader, gains: Sequence[Array], j: Index, a: Array, ulps: float
) -> tuple[list[Combination], Array]:
    """The combinations of the stored rows of each source, proven entry by entry."""
    start, residual = [], np.zeros(len(j))
    for source, gain in zip(reader.group.sources, gains, strict=True):
        dtype = source.use.constant.dtype
        with np.errstate(all="ignore"):
            own = np.where(a != 0, a * gain[None, :] / gain[j, None], 0.0)
        finite = np.isfinite(own).all(1)
        own[~finite] = 0.0
        error, ok = agreement(reader.stored(source.rows), j, own, ulps, dtype)
        rtol = max(ulps, 1.0) * 2.0 ** -mantissa_bits(dtype)
        start.append(Combination.start(j, own, ok & finite, rtol))
        residual = np.maximum(residual, error)
    return start, residual


@dataclass(frozen=True)
class Opposite:
    """Pairs of opposite units: z_minus = −factor · z_plus, all (m,); plus comes later in the group."""

    plus: Index
    minus: Index
    factor: Array

    def some(self, chosen: Index) -> Opposite:
        """Some of the pairs."""
        return Opposite(self.plus[chosen], self.minus[chosen], self.factor[chosen])


def opposite_pairs(found: Path, reader: Reader, alive: Index, label: Index, ulps: float) -> Mixed | None:
    """Units that opposite pairs make superfluous; `label` (alive,) says whose rows are parallel."""
    if not found.leaning:
        return None
    i, j = _parallel(alive, label)
    if len(j) < 2:
        return None
    base = found.leaving[0].base
    pairs = _opposite(found, reader, base, i, j, ulps)
    shapes = forms(found, reader) if len(pairs.plus) > 1 else None
    gains = None if shapes is None or base not in shapes.made else shapes.gains(base)
    if shapes is None or gains is None or len(gains) < len(reader.group.sources):
        return None
    return _superfluous(found, reader, shapes, gains, pairs, ulps)


def _superfluous(
    found: Path, reader: Reader, shapes: Forms, gains: Sequence[Array], pairs: Opposite, ulps: float
) -> Mixed | None:
    weight = _slopes(found, reader, pairs)
    usable = np.flatnonzero(np.isfinite(weight).all(1))
    pairs, weight = pairs.some(usable), weight[usable]
    parts = _weights(reader, gains, pairs.plus)
    strict = [shapes.made[found.leaving[0].base]] if shapes.late else []
    parts += [f.shift[pairs.plus] for f in (*shapes.strict, *strict)]
    chosen = basis(np.concatenate(parts, 1), _bits(reader.group)) if len(usable) > 1 else None
    if chosen is None or len(chosen.rest) * reader.group.size > ENTRIES:
        return None
    j = pairs.plus[chosen.rest]
    a = np.zeros((len(j), reader.group.size))
    a[:, pairs.plus[chosen.kept]] = chosen.a
    start, residual = _start(reader, gains, j, a, ulps)
    turn = partial(_units, pairs, weight)
    return Mixed("opposite pairs", j, tuple(mixed(found, reader, start, turn)), residual)


def _parallel(alive: Index, label: Index) -> tuple[Index, Index]:
    """Pairs i < j of channels with one label, at most WINDOW apart within large classes."""
    order = np.argsort(label, kind="stable")
    first, second = [], []
    for step in range(1, min(len(order), WINDOW) + 1):
        same = label[order[:-step]] == label[order[step:]]
        if not same.any():
            break
        first.append(order[:-step][same])
        second.append(order[step:][same])
    if not first:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    i, j = alive[np.concatenate(first)], alive[np.concatenate(second)]
    return np.minimum(i, j), np.maximum(i, j)


def _opposite(found: Path, reader: Reader, base: int, i: Index, j: Index, ulps: float) -> Opposite:
    """Each unit in at most one pair, the first that fits."""
    relation = relation_behind(reader, i, j, [m.item for m in found.moves if m.number <= base], ulps)
    fits = relation.ok & relation.no_shift & (relation.a < 0)
    if not found.homogeneous:
        fits &= relation.is_minus_one
    taken: set[int] = set()
    chosen = []
    for p in np.flatnonzero(fits).tolist():
        pair = {int(i[p]), int(j[p])}
        if not pair & taken:
            taken |= pair
            chosen.append(p)
    some = np.array(chosen, np.int64)
    return Opposite(j[some], i[some], -1.0 / relation.a[some])


def _slopes(found: Path, reader: Reader, pairs: Opposite) -> Array:
    """(nu, c) of each pair with h_plus − nu · h_minus = c · z_plus, per unit of odd part; NaN where there is
    none.

    With slopes s, s' (PRelu) of plus and minus: nu = (1 − s) / (1 − s') / factor, c = (1 − s s') / (1 − s').
    """
    if found.slopes is None:
        return np.stack([1 / pairs.factor, np.full(len(pairs.plus), 2.0)], 1)
    table = reader.of(found.slopes.slope)
    s, t = table[pairs.plus, 0], table[pairs.minus, 0]
    level = (table == table[:, :1]).all(1)
    good = level[pairs.plus] & level[pairs.minus] & (np.abs(1 - t) > 0.01) & (np.abs(1 - s * t) > 0.01)
    with np.errstate(all="ignore"):
        weight = np.stack([(1 - s) / (1 - t) / pairs.factor, (1 - s * t) / (1 - t)], 1)
    return np.where(good[:, None], weight, np.nan)


def _units(pairs: Opposite, weight: Array, p: Parity, c: Combination) -> Combination:
    """From z_j = Σ a_k z_k + kappa over pairs to units: h_j+ = nu_j h_j− + Σ a_k c_j/c_k (h_k+ − nu_k h_k−) +
    odd · c_j · kappa.
    """
    if p.odd is None:
        return c.lost()
    n = c.a.shape[1]
    nu, gain, partner = np.zeros(n), np.ones(n), np.zeros(n, np.int64)
    nu[pairs.plus], gain[pairs.plus], partner[pairs.plus] = weight[:, 0], weight[:, 1], pairs.minus
    if p.slopes is None:
        nu[pairs.plus], gain[pairs.plus] = 1 / pairs.factor, 2.0
    a = c.a * (gain[c.j][:, None] / gain[None, :])
    out = a.copy()
    out[:, partner[pairs.plus]] -= a[:, pairs.plus] * nu[pairs.plus]
    out[np.arange(len(c.j)), partner[c.j]] += nu[c.j]
    factor = p.odd * gain[c.j]
    return Combination(c.j, out, factor * c.kappa, np.abs(factor) * c.noise, c.ok, c.rtol)


def several(group: ChannelGroup, reader: Reader, alive: Index, label: Index, ulps: float) -> Mixed | None:
    """Channels that are combinations of several others; `label` (alive,) says whose rows are parallel.

    With `ulps` below 1 rows must be equal bit by bit, which sums of several are not.
    """
    found = candidate_path(group) if ulps >= 1 else None
    if found is None:
        return None
    if found.linear:
        return linear_dependence(found, reader, alive, ulps)
    return opposite_pairs(found, reader, alive, label, ulps)
