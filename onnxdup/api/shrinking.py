"""The job behind `shrink`: search, then verify and write as `merge` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdup.api.merging import Rejected, Target, calibration_data, deliver
from onnxdup.api.result import Result
from onnxdup.api.subject import hashed, subject
from onnxdup.api.verification import Runs
from onnxdup.errors import CannotVerify, GateFailed, UsageError
from onnxdup.evaluation import compare, cost
from onnxdup.evaluation.source import MadeUpSource
from onnxdup.graph import Document, load
from onnxdup.reduce.budget import Budget, within
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.search import OutOfReach
from onnxdup.reduce.shrink import How, Shrinkage
from onnxdup.reduce.shrink import shrink as search
from onnxdup.reduce.state import State
from onnxdup.reporting import search_build
from onnxdup.reporting.change import Measured
from onnxdup.reporting.judge import Limits
from onnxdup.reporting.schema import Check
from onnxdup.reporting.search_schema import Holdout, ShrinkReport

Say = Callable[[str], None]
STAMP_BYTES = 512
"""More than the stamp of a written model takes."""
MADE_UP = "the limits were held on made-up inputs: give --data to hold them on real ones"


class OverBudget(GateFailed):
    """No model within the budget, or the chosen one failed its verification; `report` says what was tried."""

    def __init__(self, cause: GateFailed, report: ShrinkReport) -> None:
        super().__init__(cause.what, file=cause.file, remedy=cause.remedy)
        self.report = report


class Shrunk(Result[ShrinkReport]):
    """A verified smaller model, with its `report`, `plan` and `ledger` of exact merges (None without)."""


@dataclass(frozen=True)
class Asked:
    """A budget, how to search, and where to remember: `state` is a file, `resume` reads it first."""

    budget: Budget
    how: How
    batch: int = 1
    holdout: Any = None
    state: Path | None = None
    resume: bool = False
    calibration: Any = None


def run(document: Document, asked: Asked, target: Target, runs: Runs, say: Say | None = None) -> Shrunk:
    """Searches, verifies and, where `target` names a file, writes. Raises `OverBudget` where that fails."""
    say = say or (lambda _: None)
    _demand(asked, runs)
    asked = dataclasses.replace(asked, calibration=calibration_data(asked.calibration, document))
    with _meter(document, asked, runs) as meter:
        _demand_labels(asked, meter)
        found = _search(document, asked, meter, runs, target, say)
        holdout = _holdout(document, found, asked, runs, say)
        checks = _Checks(asked.budget, found, meter)
        limits = Limits(min_agreement=asked.budget.min_agreement)
        try:
            merged = deliver(document, found.reduction, target, runs, limits, say, checks)
        except Rejected as error:
            report = search_build.shrink_report(
                document, asked.budget, asked.how, found, error.report, holdout
            )
            raise OverBudget(error, report) from error
    report = search_build.shrink_report(document, asked.budget, asked.how, found, merged.report, holdout)
    return Shrunk(merged.document, report, merged.plan, merged.ledger)


def _demand(asked: Asked, runs: Runs) -> None:
    if asked.budget.max_drop is not None and runs.data is None:
        raise UsageError("--max-drop needs labelled data", remedy="add --data FILE.npz, or use --max-error")


def _demand_labels(asked: Asked, meter: Meter) -> None:
    if asked.budget.max_drop is not None and not meter.labelled:
        raise CannotVerify(
            "--max-drop needs labels, and the data have none", remedy="add y, or use --max-error"
        )


def _meter(document: Document, asked: Asked, runs: Runs) -> Meter:
    """Measures on the data, else on calibration data without their labels, else on made-up inputs."""
    data = runs.data
    if data is None and asked.calibration is not None:
        data = dataclasses.replace(asked.calibration, labels=None)
    return Meter(
        document,
        data,
        samples=runs.samples,
        seed=runs.seed,
        provider=runs.provider,
        batch=asked.batch,
        input_shapes=runs.input_shapes,
    )


def _search(
    document: Document, asked: Asked, meter: Meter, runs: Runs, target: Target, say: Say
) -> Shrinkage:
    state = State(_subject(document, asked, meter, runs), asked.state, resume=asked.resume)
    extra = STAMP_BYTES if target.stamp else 0
    try:
        found = search(
            *(document, asked.budget, meter, asked.how, state),
            extra_bytes=extra,
            calibration=asked.calibration,
            seed=runs.seed,
            progress=say,
        )
    except OutOfReach as error:
        report = search_build.unreached_report(
            document, asked.budget, asked.how, error.steps, error.trials, error.what
        )
        raise OverBudget(error, report) from error
    if asked.budget.limits and isinstance(meter.source, MadeUpSource):
        found = dataclasses.replace(found, notes=(*found.notes, MADE_UP))
    return found


def _subject(document: Document, asked: Asked, meter: Meter, runs: Runs) -> dict[str, Any]:
    """What the results of a search depend on."""
    remembered, calibration = asked.state is not None, asked.calibration
    return {
        **subject(document, meter, runs, remembered=remembered),
        "batch": asked.batch,
        "confidence": asked.budget.confidence,
        "calibration": hashed(calibration) if remembered and calibration is not None else "",
        "how": asked.how.as_dict(),
    }


def _holdout(document: Document, found: Shrinkage, asked: Asked, runs: Runs, say: Say) -> Holdout | None:
    if asked.holdout is None:
        return None
    say("running both models on the data held out")
    measured = compare(
        document,
        found.reduction.document,
        data=asked.holdout,
        provider=runs.provider,
        seed=runs.seed,
        confidence=asked.budget.confidence,
    )
    return search_build.holdout(measured)


@dataclass(frozen=True)
class _Checks:
    """The budget held against the file that is about to be written."""

    budget: Budget
    found: Shrinkage
    meter: Meter

    def __call__(self, path: Path, measured: Measured) -> Sequence[Check]:
        document = load(path)
        values: dict[str, Callable[[], float | None]] = {
            "keep": lambda: self.found.chosen.measures.keep,
            "parameters": lambda: cost(document).parameters,
            "macs": lambda: self.meter.macs(document),
            "bytes": lambda: document.nbytes,
            "latency_ms": lambda: self.meter.latency(document),
        }
        checks = [_at_most(n, values[n](), limit) for n, limit in self.budget.targets.items()]
        if self.budget.max_drop is not None:
            checks.append(self._drop(self.budget.max_drop, measured))
        if self.budget.max_error is not None:
            checks.append(self._error(self.budget.max_error, document))
        return checks

    @property
    def _proven(self) -> bool:
        return self.found.reduction.exact

    def _drop(self, limit: float, measured: Measured) -> Check:
        """Non-inferiority as `check` judges it: the one-sided bound of the paired drop."""
        if self._proven or measured.comparison is None:
            return Check("accuracy drop", "passed", "exact merges alone, accuracy cannot fall")
        pair, level = measured.comparison.paired, self.budget.confidence
        assert pair is not None
        bound = 100 * pair.drop_bounds(level).high
        words = (
            f"accuracy falls by {100 * pair.drop:.2f} points, at most {bound:.2f} shown at "
            f"{100 * level:g} %, {limit:g} allowed"
        )
        return Check("accuracy drop", "passed" if within(bound, limit) else "failed", words, bound, limit)

    def _error(self, limit: float, document: Document) -> Check:
        if self._proven:
            return Check("output error", "passed", "exact merges alone, outputs are equal within rounding")
        value = self.meter.quality(document).error
        words = f"outputs change by {value:.3g} of their root mean square, {limit:g} allowed"
        return Check("output error", "passed" if within(value, limit) else "failed", words, value, limit)


_WORDS = {"latency_ms": "latency (ms)", "macs": "MACs", "keep": "channels kept"}


def _at_most(name: str, value: float | None, limit: float) -> Check:
    shown = "unknown" if value is None else f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
    words = f"{shown}, {limit:,.10g} allowed"
    status = "passed" if within(value, limit) else "failed"
    return Check(_WORDS.get(name, name), status, words, value, limit)  # type: ignore[arg-type]
