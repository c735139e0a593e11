"""The table of methods: selection × compensation, one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.errors import UsageError
from onnxdup.merging.compensation import least_squares, mean, none
from onnxdup.merging.plan import Index, Merge
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import components, linkage, norm, obs

Selection = Callable[[Problem, float, float | None], Index]
Compensation = Callable[[Problem, Index], Merge]


@dataclass(frozen=True)
class Method:
    """A named pair of plugs. `exact_first`: the exact pass runs before it."""

    name: str
    what: str
    exact_first: bool
    selection: Selection | None = None
    compensation: Compensation | None = None


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("exact", "proven duplicates only", True),
        Method(
            "paper",
            "components of cos(w), mean of unit filters, sum",
            False,
            components.select,
            mean.compensate,
        ),
        Method("cluster", "complete linkage, weighted mean, sum", True, linkage.select, mean.weighted),
        Method(
            "obs",
            "optimal brain surgeon and least squares on analytic moments",
            True,
            obs.select,
            least_squares.compensate,
        ),
        Method("norm", "largest L1 norm, no compensation", False, norm.select, none.compensate),
    )
}


def method_named(name: str) -> Method:
    """A row of the table. UsageError for an unknown name."""
    if name not in METHODS:
        raise UsageError(f"there is no method {name!r}", remedy=f"choose one of {', '.join(METHODS)}")
    return METHODS[name]


def approximate_merge(
    method: Method, group: ChannelGroup, trace: Trace, tau: float, keep: float | None = None
) -> Merge | None:
    """One group by one method, or None where nothing is merged: integers hold no means and no scaled sums."""
    if group.frozen or group.size < 2 or method.selection is None or method.compensation is None:
        return None
    if not group.approximable or group.quantised:
        return None
    problem = Problem.of(trace, group)
    if not all(np.isfinite(rows).all() for rows in problem.parts):
        return None
    labels = method.selection(problem, tau, keep)
    clusters = len(np.unique(labels[labels >= 0]))
    return method.compensation(problem, labels) if 0 < clusters < group.size else None
