"""From measurements to verdicts: pure functions, one per check."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxdup.errors import CannotVerify, UsageError
from onnxdup.evaluation import Comparison, Fidelity
from onnxdup.reporting.schema import Check, Status


@dataclass(frozen=True)
class Limits:
    """What a run is held to; None: not asked for. `max_drop` in percentage points, `min_agreement` in
    percent.

    `rtol` and `atol` replace the tolerance of exact merges that follows from the fan-in.
    """

    max_drop: float | None = None
    min_agreement: float | None = None
    rtol: float | None = None
    atol: float | None = None


def demand(limits: Limits, *, data: bool) -> None:
    """UsageError, before any work, for a limit that cannot be checked without data."""
    if limits.max_drop is not None and not data:
        raise UsageError("--max-drop needs labelled data", remedy="add --data FILE.npz")


def judge(found: Comparison, limits: Limits, *, exact: bool) -> tuple[Check, ...]:
    """The checks of a reduced model against its original; `exact` holds the outputs to rounding.

    Raises `CannotVerify` where the model is random, or a limit needs labels or class scores that are not
    there.
    """
    if found.random:
        raise CannotVerify(
            "the model draws random numbers, so outputs cannot be compared",
            node=found.random[0],
            remedy="export it with a seed",
        )
    checks = [_ran(found), _finite(found)]
    if exact:
        checks += [exactness(found, f, limits) for f in found.fidelity]
    if limits.max_drop is not None:
        checks.append(_drop(found, limits.max_drop))
    if limits.min_agreement is not None:
        checks.append(_agreement(found, limits.min_agreement))
    return tuple(checks)


def verdict(checks: tuple[Check, ...]) -> Status:
    """Failed if any check failed, else inconclusive if any was, else passed."""
    for status in ("failed", "inconclusive"):
        if any(c.status == status for c in checks):
            return status
    return "passed"


def exactness(found: Comparison, output: Fidelity, limits: Limits) -> Check:
    """An output of an exact merge against the error that rounding can cause."""
    limit = _allowed(found, output, limits)
    error = output.max_absolute_error
    good = error <= limit
    words = f"{output.output} differs by {error:.3g}, rounding explains {limit:.3g}"
    return Check("exact within rounding", "passed" if good else "failed", words, error, limit)


def _allowed(found: Comparison, output: Fidelity, limits: Limits) -> float:
    if limits.rtol is None and limits.atol is None:
        return found.allowed(output.output)
    return (limits.atol or 0.0) + (limits.rtol or 0.0) * output.scale


def _ran(found: Comparison) -> Check:
    return Check("loads and runs", "passed", f"onnxruntime, {found.placement}")


def related(found: Comparison) -> tuple[Check, ...]:
    """What a comparison that is held to no limit must still show; empty where it does.

    Outputs have the same shapes (which may depend on values in a detector), and none is further from the
    original's than zeros are, in its largest error and in direction (cosine below 1/2 at equal lengths).
    """
    other = [
        Check("same shapes", "failed", f"{f.output}: {f.note}") for f in found.fidelity if not f.comparable
    ]
    far = [f for f in found.fidelity if f.comparable and f.relative_error >= 1 and f.cosine < 0.5]
    words = "is further from the original's than zeros would be"
    return (*other[:1], *(Check("related outputs", "failed", f"{f.output} {words}") for f in far[:1]))


def _finite(found: Comparison) -> Check:
    wrong = [f.output for f in found.fidelity if not f.finite and not math.isfinite(f.max_absolute_error)]
    if wrong:
        return Check("finite outputs", "failed", f"{wrong[0]} is not finite where the original's is")
    same = " (non-finite where the original is, too)" if not found.finite else ""
    return Check("finite outputs", "passed", f"on {found.samples} samples{same}")


def _drop(found: Comparison, limit: float) -> Check:
    if found.paired is None:
        raise CannotVerify("--max-drop needs labels, and the data have none", remedy="add y to the data")
    drop = 100 * found.paired.drop
    words = f"accuracy falls by {drop:.2f} points, {limit:g} allowed"
    return Check("accuracy drop", "passed" if drop <= limit + 1e-9 else "failed", words, drop, limit)


def _agreement(found: Comparison, limit: float) -> Check:
    if found.agreement is None:
        raise CannotVerify("--min-agreement needs an output with class scores, and there is none")
    share = 100 * found.agreement
    words = f"{share:.2f} % of answers agree, {limit:g} % demanded"
    return Check("top-1 agreement", "passed" if share >= limit - 1e-9 else "failed", words, share, limit)
