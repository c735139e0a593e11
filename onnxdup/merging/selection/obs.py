"""Optimal brain surgeon on channels: backward elimination with the smallest error after recompensation.

Hassibi and Stork, NIPS 1992, on the second moment of what the next layers read instead of a loss Hessian.
Removing channel i, with everything else free to make good, costs tr(V_i [Inv_ii]⁻¹ V_iᵀ); Inv is down-dated
block by block (a channel seen through k × k taps is a block), and V follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.merging.moments import SinkMoments, moments_of
from onnxdup.merging.moments.sinks import solved
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import blocks, linkage
from onnxdup.merging.selection.clusters import Aim, Clusters, survivors

DELAY = 48
"""Removals after which down-dates are applied together, as one matrix product."""


@dataclass(frozen=True)
class Removal:
    """In which order channels go, and what each costs when it goes.

    `sequence` (n,) has all channels, the first to go first, `cost` (n,) the predicted squared error that each
    adds to what the next layers compute; `power` is the predicted square of what they compute from the group.
    """

    sequence: Index
    cost: Array
    power: float


def removal(problem: Problem) -> Removal | None:
    """The whole order of a group, computed once. None without moments."""
    if "removal" not in problem.cache:
        moments = moments_of(problem)
        problem.cache["removal"] = None if moments is None else _removal(problem, moments)
    held = problem.cache["removal"]
    return held if isinstance(held, Removal) else None


def _removal(problem: Problem, moments: list[SinkMoments]) -> Removal:
    moment, outgoing, taps = stacked(problem, moments)
    sequence, cost = eliminate(moment, outgoing, taps, 0)
    return Removal(sequence, cost, float(np.einsum("oi,ij,oj->", outgoing, moment, outgoing, optimize=True)))


def select(problem: Problem, aim: Aim) -> Clusters:
    """The channels that go last; as many stay as linkage leaves at tau, or as are asked for."""
    n = problem.group.size
    found = removal(problem)
    if found is None:
        return linkage.select(problem, aim)
    gone = found.sequence[: n - linkage.wanted(problem, aim)]
    return survivors(n, np.setdiff1d(np.arange(n), gone))


def eliminate(moment: Array, outgoing: Array, taps: int, keep: int = 1) -> tuple[Index, Array]:
    """(channels in the order they go, cost of each) until `keep` are left.

    `moment` is (n·taps, n·taps), `outgoing` (outputs, n·taps), both float64.
    """
    size = len(moment)
    inverse = solved(moment, np.eye(size))
    if taps > 1:
        return blocks.eliminate(inverse, outgoing, taps, keep)
    return _one_by_one(inverse, outgoing.T @ outgoing, keep)


def _one_by_one(inverse: Array, square: Array, keep: int) -> tuple[Index, Array]:
    """`square` = VᵀV. Down-dates inverse −= p qᵀ and square are kept as factors for `DELAY` removals."""
    n = len(inverse)
    alive = np.ones(n, bool)
    sequence, paid = np.empty(n - keep, np.int64), np.empty(n - keep)
    diagonal, norms = np.diag(inverse).copy(), np.diag(square).copy()
    p = np.zeros((n, DELAY))
    scale = np.zeros(DELAY)
    left, right = np.zeros((n, 2 * DELAY)), np.zeros((n, 2 * DELAY))
    held = 0
    for step in range(n - keep):
        cost = np.where(alive, np.maximum(norms, 0) / np.maximum(diagonal, 1e-300), np.inf)
        i = int(np.argmin(cost))
        sequence[step], paid[step], alive[i] = i, cost[i], False
        column = inverse[:, i] - p[:, :held] @ (p[i, :held] * scale[:held])
        seen = square[:, i] + left[:, : 2 * held] @ right[i, : 2 * held]
        q = column / column[i]
        # V ← V − V_i qᵀ, so VᵀV ← VᵀV − q s_iᵀ − s_i qᵀ + s_ii q qᵀ
        half = seen - 0.5 * seen[i] * q
        norms -= 2 * q * half
        diagonal -= q * column
        p[:, held], scale[held] = column, 1.0 / column[i]
        left[:, 2 * held], right[:, 2 * held] = -q, half
        left[:, 2 * held + 1], right[:, 2 * held + 1] = -half, q
        held += 1
        if held == DELAY:
            inverse -= (p * scale) @ p.T
            square += left @ right.T
            held = 0
    return sequence, paid


def stacked(problem: Problem, moments: list[SinkMoments]) -> tuple[Array, Array, int]:
    """(moment, outgoing, taps) of all sinks as one reader, each sink by the power that it sees.

    Sinks that see fewer taps than the widest read its middle tap.
    """
    taps, n = max(m.taps for m in moments), problem.group.size
    total = np.zeros((n * taps, n * taps))
    parts, weight = [], 0.0
    for found in moments:
        w = problem.read_by(found.sink, found.taps)
        centred = found.centred
        power = max(float(np.trace(centred)) / len(centred), 1e-30)
        if found.taps != taps:
            wide = np.zeros((w.shape[0], n, taps))
            wide[:, :, taps // 2] = w.reshape(w.shape[0], n, -1).sum(2)
            w = wide.reshape(w.shape[0], n * taps)
        else:
            share = power * max(float((w**2).sum()), 1e-30)
            total += centred * (share / power)
            weight += share
        parts.append(w * np.sqrt(power))
    return total / weight, np.concatenate(parts), taps
