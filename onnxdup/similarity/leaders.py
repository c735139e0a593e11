"""Leader clustering: each member joins the first leader it matches, or becomes one.

Used where all pairs of a set are too many, and for exact merging, where "matches" is a proof and not a
number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onnxdup.similarity.units import Bools, Floats, Indices, Metric, Singles, Units

_SLACK = 1e-6
"""Relative safety of the radius: far above float64 rounding, far below anything a filter can tell."""


def leaders(members: Indices, same: Callable[[int, Indices], Bools]) -> Indices:
    """Group `members` (m,) by an arbitrary equivalence: the leader (m,) of each.

    In the given order, the first member without a leader becomes one and takes every later member without a
    leader for which `same(leader, candidates)` is true. Each answer is about a leader and a candidate, so
    nothing relies on the test being transitive.
    """
    leader = np.full(len(members), -1, np.intp)
    left = np.arange(len(members))
    while len(left):
        head, rest = int(members[left[0]]), left[1:]
        leader[left[0]] = head
        joins = np.asarray(same(head, members[rest]), np.bool_) if len(rest) else np.zeros(0, np.bool_)
        leader[rest[joins]] = head
        left = rest[~joins]
    return leader


class Radius:
    """The ball around a leader inside which any two filters have similarity >= tau.

    Cosine: angles obey the triangle inequality, so half the angle of tau. Copy: 1 - s = |a-b|^2 /
    (|a|^2+|b|^2), so with |a-l| and |b-l| <= e|l|, 1 - s <= 2 (e / (1-e))^2, which is 1 - tau for e = t /
    (1+t), t = sqrt((1-tau)/2).
    """

    def __init__(self, units: Units, tau: float, metric: Metric) -> None:
        self._units, self._metric = units, metric
        t = math.sqrt((1 - tau) / 2)
        self._reach = (t / (1 + t)) ** 2 * (1 - _SLACK)
        self._half = 1 - (1 - math.sqrt((1 + tau) / 2)) * (1 - _SLACK)
        cosine = math.sqrt(1 - self._reach) if metric == "copy" else self._half
        self._bar = np.float32(cosine - units.margin)

    def contains(self, leader: Indices, member: Indices) -> Bools:
        """Exact test of pairs (leader, member)."""
        cosine = self._units.cosine(leader, member)
        if self._metric == "absolute":
            cosine = np.abs(cosine)
        return self._copies(cosine, leader, member) if self._metric == "copy" else cosine >= self._half

    def maybe(self, cosines: Singles) -> Bools:
        """Pairs that float32 cosines cannot rule out."""
        mask: Bools = (np.abs(cosines) if self._metric == "absolute" else cosines) >= self._bar
        return mask

    def _copies(self, cosine: Floats, leader: Indices, member: Indices) -> Bools:
        ratio = self._units.ratio(member, leader)
        with np.errstate(over="ignore", invalid="ignore"):
            return (1 - ratio) ** 2 + 2 * ratio * (1 - cosine) <= self._reach


def leader_clusters(units: Units, members: Indices, tau: float, metric: Metric) -> Indices:
    """Leader (m,) of each of the ascending `members`; every pair with the same leader has similarity >=
    tau.
    """
    radius = Radius(units, tau, metric)
    step = units.block_rows(4)
    leader = np.full(len(members), -1, np.intp)
    known = np.empty(0, np.intp)
    for start in range(0, len(members), step):
        block = members[start : start + step]
        found = _nearest_known(units, radius, known, block)
        alone = np.flatnonzero(found < 0)
        found[alone] = _within(units, radius, block[alone])
        leader[start : start + step] = found
        known = np.append(known, block[alone][found[alone] == block[alone]])
    return leader


def _nearest_known(units: Units, radius: Radius, known: Indices, block: Indices) -> Indices:
    """First known leader that contains each filter of the block, -1 for none."""
    found = np.full(len(block), -1, np.intp)
    step = 4 * units.block_rows(4)
    for start in range(0, len(known), step):
        heads = known[start : start + step]
        left = np.flatnonzero(found < 0)
        if not len(left):
            break
        r, c = np.nonzero(radius.maybe(units.screen(block[left]) @ units.screen(heads).T))
        hit = radius.contains(heads[c], block[left[r]])
        rows, first = np.unique(r[hit], return_index=True)
        found[left[rows]] = heads[c[hit][first]]
    return found


def _within(units: Units, radius: Radius, block: Indices) -> Indices:
    """Leaders among the filters of one block."""
    unit = units.screen(block)
    maybe = radius.maybe(unit @ unit.T)

    def same(head: int, others: Indices) -> Bools:
        place = np.searchsorted(block, np.append(others, head))
        result: Bools = maybe[place[-1], place[:-1]]
        some = np.flatnonzero(result)
        result[some] = radius.contains(np.full(len(some), head), others[some])
        return result

    return leaders(block, same)
