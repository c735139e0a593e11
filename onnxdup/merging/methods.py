"""The table of methods: selection × compensation, one row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.errors import UsageError
from onnxdup.merging.compensation import least_squares, mean, none, refined, total
from onnxdup.merging.moments import Moments
from onnxdup.merging.plan import Merge
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import chance, components, dpp, fold, linkage, nearest, norm, obs, pairs
from onnxdup.merging.selection.clusters import Aim, Clusters
from onnxdup.merging.selection.obs import Removal

Selection = Callable[[Problem, Aim], Clusters]
Compensation = Callable[[Problem, Clusters], Merge]

COMPENSATIONS: dict[str, Compensation] = {
    "none": none.compensate,
    "sum": total.compensate,
    "scaled-sum": total.scaled,
    "mean": mean.plain,
    "weighted-mean": mean.weighted,
    "paper-mean": mean.paper,
    "repair": mean.repaired,
    "least-squares": least_squares.compensate,
    "folded-least-squares": least_squares.folded,
    "weighted-least-squares": least_squares.weighted,
    "refined": refined.compensate,
}
"""How the next layers make good for what goes, by name."""


@dataclass(frozen=True)
class Method:
    """A named pair of plugs; `exact_first`: the exact pass runs before it."""

    name: str
    what: str
    selection: Selection | None
    compensation: str
    exact_first: bool = True

    @property
    def compensate(self) -> Compensation:
        """The compensation of that name."""
        return COMPENSATIONS[self.compensation]


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("exact", "proven duplicates only", None, "none"),
        Method("paper", "components of cos(w), mean, sum", components.select, "paper-mean", False),
        Method("cluster", "complete linkage, filters and readers fitted", linkage.select, "refined"),
        Method("obs", "optimal brain surgeon, least squares", obs.select, "least-squares"),
        Method("refine", "optimal brain surgeon, filters and readers fitted", obs.select, "refined"),
        Method("ward", "Ward's clusters, mean, least squares", fold.agglomerate, "folded-least-squares"),
        Method("fold", "k-means of the rows, mean, sum", fold.kmeans, "mean", False),
        Method("fold-ward", "Ward's clusters, mean, sum", fold.agglomerate, "mean", False),
        Method("fold-repair", "k-means, mean with restored spread, sum", fold.kmeans, "repair", False),
        Method(
            "neuron-merging", "largest L1 norm, nearest heir, scaled sum", nearest.select, "scaled-sum", False
        ),
        Method("srinivas-babu", "greedy pairs, sum", pairs.select, "sum", False),
        Method("dpp", "diverse subset, least squares", dpp.select, "least-squares", False),
        Method("norm", "largest L1 norm, no compensation", norm.select, "none", False),
        Method("norm-l2", "largest L2 norm, no compensation", norm.euclidean, "none", False),
        Method("random", "drawn at random, no compensation", chance.select, "none", False),
    )
}


def method_named(name: str, compensation: str | None = None) -> Method:
    """A row of the table, with another compensation where one is named. UsageError for an unknown name."""
    if name not in METHODS:
        raise UsageError(f"there is no method {name!r}", remedy=f"choose one of {', '.join(METHODS)}")
    found = METHODS[name]
    if compensation is None:
        return found
    if compensation not in COMPENSATIONS:
        raise UsageError(
            f"there is no compensation {compensation!r}", remedy=f"choose one of {', '.join(COMPENSATIONS)}"
        )
    if found.selection is None:
        raise UsageError(f"{name} merges need no compensation", remedy="leave --compensation out")
    return Method(found.name, found.what, found.selection, compensation, found.exact_first)


def cuttable(group: ChannelGroup) -> bool:
    """May an approximate method remove channels of a group?"""
    return group.frozen is None and group.approximable and not group.quantised and group.size > 1


def problem_of(group: ChannelGroup, trace: Trace, moments: Moments | None = None) -> Problem | None:
    """The problem of a group that may be merged approximately, else None: integers hold no means and no
    scaled sums, units that are fed back no sums, and nothing is known of rows that are not finite.
    """
    if not cuttable(group):
        return None
    problem = Problem.of(trace, group, moments)
    return problem if all(np.isfinite(rows).all() for rows in problem.parts) else None


def approximate_merge(
    method: Method,
    group: ChannelGroup,
    trace: Trace,
    tau: float,
    *,
    count: int | None = None,
    seed: int = 0,
    moments: Moments | None = None,
) -> Merge | None:
    """One group by one method, or None where nothing is merged.

    `count` channels stay, or what the method finds at `tau`.
    """
    problem = problem_of(group, trace, moments)
    if problem is None or method.selection is None:
        return None
    if count is not None and count >= group.size:
        return None
    return merge_to(method, problem, Aim(tau, count, seed))


def merge_to(method: Method, problem: Problem, aim: Aim) -> Merge | None:
    """A problem's channels by one method, or None where nothing is merged. Moments and orders are kept with
    the problem for the next aim.
    """
    if method.selection is None:
        return None
    clusters = method.selection(problem, aim)
    return method.compensate(problem, clusters) if 0 < clusters.count < problem.group.size else None


def order(method: Method, problem: Problem) -> Removal | None:
    """In which order backward elimination removes the channels of a problem, and what each costs. None for
    methods without moments, and where no moments are known.
    """
    return obs.removal(problem) if method.compensation in PREDICTED else None


PREDICTED = frozenset({"least-squares", "folded-least-squares", "refined"})
"""Compensations whose error the moments predict."""
