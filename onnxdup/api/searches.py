"""`onnxdup.shrink` and `onnxdup.sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxdup import api
from onnxdup.api import TAUS, Shapes
from onnxdup.api.merging import Say, Target
from onnxdup.api.shrinking import Asked, Shrunk
from onnxdup.api.shrinking import run as run_shrink
from onnxdup.api.sweeping import Grid
from onnxdup.api.sweeping import run as run_sweep
from onnxdup.api.verification import Runs
from onnxdup.reduce.budget import Budget
from onnxdup.reduce.shrink import How
from onnxdup.reporting.search_schema import SweepReport


def shrink(
    model: Any,
    *,
    keep: float | None = None,
    target_params: int | None = None,
    target_macs: int | None = None,
    target_bytes: int | None = None,
    target_latency: float | None = None,
    max_drop: float | None = None,
    max_error: float | None = None,
    min_agreement: float | None = None,
    confidence: float = 0.95,
    method: str = "refine",
    calibration: Any = None,
    probe: bool | None = None,
    round_to: int = 1,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    constant_inputs: bool = False,
    data: Any = None,
    holdout: Any = None,
    batch: int = 1,
    exact_ulp: int = 4,
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
    state: str | Path | None = None,
    resume: bool = False,
    output: str | Path | None = None,
    in_place: bool = False,
    ledger: str | Path | None = None,
    keep_rejected: bool = False,
    stamp: bool = True,
    progress: Say | None = None,
) -> Shrunk:
    """The smallest model within a budget: an exact pass, then channels of all groups in the order of their
    predicted error per saved cost, as far as the budget asks or allows.

    Targets make it small: `keep` (share of the channels of all groups that can be cut, together),
    `target_params`, `target_macs` (of a sample), `target_bytes` (model and external data), `target_latency`
    (measured milliseconds of a `batch`). Limits keep it good: `max_drop` (percentage points of accuracy on
    `data`, which must be shown at `confidence`), `max_error` (relative root mean square of the outputs'
    change), `min_agreement` (percent of equal top-1 answers). With targets the least reduction that reaches
    them is taken, and must keep the limits; with limits alone the largest that keeps them.

    On `calibration` data (labels are not read) the layers are measured, so that errors are predicted from
    what they give instead of from the weights alone. With `probe` it is measured how much the outputs mind
    each group, by one small cut of each (None: with `data`, or where it is quick). Counts that are left are
    multiples of `round_to`, or the group stays. `holdout` are data on which the chosen model is measured once
    more, for an accuracy that the choice did not see. `state` is a file that remembers what was measured;
    with `resume` an interrupted search goes on from it.

    Raises `OverBudget` (a `GateFailed` with the report) where no model is within the budget, `CannotVerify`
    where that could not be measured, `UsageError` for a bad budget.
    """
    budget = Budget(
        *(keep, target_params, target_macs, target_bytes, target_latency),
        max_drop=max_drop,
        max_error=max_error,
        min_agreement=min_agreement,
        confidence=confidence,
    )
    how = How(
        method=method,
        round_to=round_to,
        include=tuple(include),
        exclude=tuple(exclude),
        input_shapes=None if input_shapes is None else dict(input_shapes),
        ulps=exact_ulp,
        constant_inputs=constant_inputs,
        probe=probe,
    )
    return run_shrink(
        api.load(model),
        Asked(budget, how, batch, holdout, None if state is None else Path(state), resume, calibration),
        Target(None if output is None else Path(output), in_place, ledger, keep_rejected, stamp),
        Runs(data, samples, seed, provider, input_shapes, exact_ulp),
        progress,
    )


def sweep(
    model: Any,
    data: Any = None,
    *,
    methods: Sequence[str] = ("paper", "norm", "cluster", "obs"),
    taus: Sequence[float] | None = None,
    keeps: Sequence[float] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
    state: str | Path | None = None,
    resume: bool = False,
    progress: Say | None = None,
) -> SweepReport:
    """Accuracy against compression: every method at each of `taus` (thresholds) and `keeps` (shares of its
    channels that every group keeps). Without labels in `data`, the error of the outputs.

    `methods` are those of `merge`, and `shrink`: a share of all channels together, allocated by predicted
    error. `taus` are those of the paper's Figure 8 where neither taus nor shares are given. `state` remembers
    every point in a file; with `resume` an interrupted sweep goes on from it. Nothing is judged or written.
    Raises `CannotVerify` where a model cannot run.
    """
    if taus is None:
        taus = () if keeps else TAUS
    where = None if state is None else Path(state)
    return run_sweep(
        api.load(model),
        Grid(tuple(methods), tuple(taus), tuple(keeps), tuple(include), tuple(exclude), where, resume),
        Runs(data, samples, seed, provider, input_shapes),
        progress,
    )
