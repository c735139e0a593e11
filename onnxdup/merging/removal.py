"""Temporary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.merging.methods import Method
from onnxdup.merging.moments import moments_of
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import obs


@dataclass(frozen=True)
class Removal:
    """`sequence` (n,) channels in the order they go, `cost` (n,) squared error each adds, `power` in all."""

    sequence: Index
    cost: Array
    power: float


def order(method: Method, group: ChannelGroup, trace: Trace) -> Removal | None:
    if method.name != "obs":
        return None
    problem = Problem.of(trace, group)
    moments = moments_of(problem)
    if moments is None:
        return None
    moment, v, taps = obs._stacked(problem, moments)
    n = len(moment) // taps
    ridge = obs.RIDGE * max(float(np.trace(moment)) / len(moment), 1e-30)
    inverse = np.asarray(np.linalg.inv(moment + ridge * np.eye(len(moment))), np.float64)
    power = float(np.einsum("oi,ij,oj->", v, moment, v, optimize=True))
    v = np.array(v, np.float64)
    alive = np.ones(n, bool)
    seq, paid = [], []
    for _ in range(n):
        cost = obs._costs(inverse, v, taps)
        cost[~alive] = np.inf
        i = int(np.argmin(cost))
        seq.append(i)
        paid.append(float(cost[i]))
        alive[i] = False
        block = slice(i * taps, (i + 1) * taps)
        column = inverse[:, block]
        inner = np.linalg.solve(column[block], column.T)
        v -= v[:, block] @ inner
        inverse -= column @ inner
        inverse[block, :] = 0.0
        inverse[:, block] = 0.0
        inverse[block, block] = np.eye(taps)
        v[:, block] = 0.0
    return Removal(np.asarray(seq), np.asarray(paid), power)
