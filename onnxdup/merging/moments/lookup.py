"""The moments of a problem, from whoever was asked to provide them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from onnxdup.merging.moments.analytic import Analytic
from onnxdup.merging.moments.gaussian import Gaussian
from onnxdup.merging.moments.sinks import Fit, SinkMoments
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem


class Moments(Protocol):
    """Moments of the groups of one trace."""

    def of(self, problem: Problem) -> list[SinkMoments] | None:
        """Moments at every sink of a group, None where they cannot be told."""
        ...

    def folded(
        self, problem: Problem, mix: csr_array, keep: Index, offset: Array | None = None
    ) -> list[Fit] | None:
        """Regressions on mixed channels, None where they cannot be told."""
        ...

    def gaussian(self, problem: Problem) -> Gaussian | None:
        """The pre-activations, None where nothing is known of them."""
        ...


def provider(problem: Problem) -> Moments | None:
    """What the problem was given, else analytic moments."""
    if problem.moments is None and problem.trace is not None:
        held = problem.cache.setdefault("provider", Analytic(problem.trace))
        assert isinstance(held, Analytic)
        return held
    return problem.moments  # type: ignore[return-value]


def moments_of(problem: Problem) -> list[SinkMoments] | None:
    """The moments of a problem, computed once."""
    if "moments" not in problem.cache:
        source = provider(problem)
        with np.errstate(all="ignore"):
            found = None if source is None else source.of(problem)
        problem.cache["moments"] = found if found is not None and all(m.finite for m in found) else None
    held = problem.cache["moments"]
    return held if isinstance(held, list) else None


def fits_of(problem: Problem, keep: Index) -> list[Fit] | None:
    """The regression of every sink on some channels."""
    found = moments_of(problem)
    return None if found is None else [m.fit(keep) for m in found]


def gaussian_of(problem: Problem) -> Gaussian | None:
    """The pre-activations of a problem as Gaussian variables."""
    source = provider(problem)
    if source is None or moments_of(problem) is None:
        return None
    return source.gaussian(problem)


def folded_fits(
    problem: Problem, mix: csr_array, keep: Index, offset: Array | None = None
) -> list[Fit] | None:
    """The regression of every sink on mixed channels."""
    source = provider(problem)
    if source is None or moments_of(problem) is None:
        return None
    with np.errstate(all="ignore"):
        found = source.folded(problem, mix, keep, offset)
    return found if found is not None and all(f.finite for f in found) else None
