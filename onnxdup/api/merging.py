"""The job behind `merge`: reduce, verify the very file that is about to be written, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnxdup import __version__
from onnxdup.api.result import Result, write_ledger
from onnxdup.api.verification import Runs, examine
from onnxdup.errors import GateFailed, InputError
from onnxdup.evaluation.data import Dataset, as_dataset
from onnxdup.graph import Document, load, materialised, write
from onnxdup.merging import MergePlan
from onnxdup.reduce import Reduction, replay
from onnxdup.reduce import merge as reduce_model
from onnxdup.reporting import change, schema
from onnxdup.reporting.judge import Limits, demand, verdict
from onnxdup.reporting.ledger import Ledger, exact_rounds, ledger_of
from onnxdup.reporting.runs import identity

Say = Callable[[str], None]
Further = Callable[[Path, change.Measured], Sequence[schema.Check]]


class Rejected(GateFailed):
    """A merged model that did not pass its verification; `report` says what was measured."""

    def __init__(self, what: str, report: schema.MergeReport, *, file: object, remedy: str) -> None:
        super().__init__(what, file=file, remedy=remedy)
        self.report = report


class Merged(Result[schema.MergeReport]):
    """A verified smaller model, with its `report`, `plan` and `ledger` of exact merges (None without)."""


@dataclass(frozen=True)
class Choice:
    """What to merge: a threshold and a method, or a plan to replay."""

    tau: float = 1.0
    method: str | None = None
    keep: float | Mapping[str, int] | None = None
    plan: str | Path | MergePlan | None = None
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    constant_inputs: bool = False
    compensation: str | None = None
    calibration: Any = None


@dataclass(frozen=True)
class Target:
    """Where the result goes; `output` None keeps it in memory."""

    output: Path | None = None
    in_place: bool = False
    ledger: str | Path | None = None
    keep_rejected: bool = False
    stamp: bool = True


def run(
    document: Document, choice: Choice, target: Target, runs: Runs, limits: Limits, say: Say | None = None
) -> Merged:
    """Merges, verifies and, where `target` names a file, writes. Raises `Rejected` where a check fails."""
    demand(limits, data=runs.data is not None)
    say = say or (lambda _: None)
    return deliver(document, _reduce(document, choice, runs, say), target, runs, limits, say)


def deliver(
    document: Document,
    reduction: Reduction,
    target: Target,
    runs: Runs,
    limits: Limits,
    say: Say,
    further: Further | None = None,
) -> Merged:
    """Verifies a reduction and, where `target` names a file, writes it.

    `further` gives more checks of the very file and what was measured on it. Raises `Rejected` where a check
    fails.
    """
    ledger = ledger_of(reduction.plan, runs.exact_ulp, runs.input_shapes) if reduction.changed else None
    ledger = ledger if ledger and ledger.entries else None
    result = (
        stamped(document, reduction, ledger) if target.stamp and reduction.changed else reduction.document
    )
    seen: list[change.Measured] = []

    def verify(path: Path) -> None:
        say("running both models")
        found = examine(document, reduction, path, runs, limits)
        more = further(path, found) if further else ()
        seen.append(replace(found, checks=(*found.checks, *more)))
        if verdict(seen[-1].checks) != "passed":
            raise _rejected(reduction, result, seen[-1], target)

    if target.output is None:
        with materialised(result) as path:
            verify(path)
        return Merged(result, _report(reduction, seen[-1]), reduction.plan, ledger)
    written = write(result, target.output, in_place=target.in_place, verify=verify)[0]
    beside = write_ledger(ledger, written, target.ledger)
    output = identity(load(written), str(target.output))
    report = _report(reduction, seen[-1], output, str(beside) if beside else None)
    return Merged(result, report, reduction.plan, ledger)


def _reduce(document: Document, choice: Choice, runs: Runs, say: Say) -> Reduction:
    if choice.plan is not None:
        plan = choice.plan if isinstance(choice.plan, MergePlan) else read_plan(Path(choice.plan))
        return replay(document, plan, input_shapes=runs.input_shapes)
    return reduce_model(
        document,
        choice.tau,
        choice.method,
        keep=choice.keep,
        include=choice.include,
        exclude=choice.exclude,
        input_shapes=runs.input_shapes,
        ulps=runs.exact_ulp,
        constant_inputs=choice.constant_inputs,
        compensation=choice.compensation,
        seed=runs.seed,
        calibration=calibration_data(choice.calibration, document),
        progress=say,
    )


def calibration_data(data: Any, document: Document) -> Dataset | None:
    """The data set on which layers are measured, of any form that `evaluation` accepts."""
    return None if data is None else as_dataset(data, document)


def read_plan(path: Path) -> MergePlan:
    """A plan file. InputError where it is not one."""
    try:
        return MergePlan.from_json(path.read_text(encoding="utf-8"), file=path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the plan cannot be read: {error}", file=path) from error


def stamped(document: Document, reduction: Reduction, ledger: Ledger | None) -> Document:
    """The result with what was done to it in its metadata."""
    facts = {
        "onnxdup.version": __version__,
        "onnxdup.method": reduction.plan.method,
        "onnxdup.tau": f"{reduction.plan.tau:g}",
        "onnxdup.source_sha256": document.sha256(),
        **({"onnxdup.ledger_sha256": ledger.sha256} if ledger else {}),
    }
    editor = reduction.document.edit()
    editor.set_metadata(facts)
    return editor.finish()


def _rejected(reduction: Reduction, result: Document, measured: change.Measured, target: Target) -> Rejected:
    wrong = next(c for c in measured.checks if c.status != "passed" and c.status != "skipped")
    kept, remedy = None, "nothing was written; --keep-rejected keeps the model"
    if target.keep_rejected and target.output is not None:
        place = target.output.with_name(f"{target.output.stem}.rejected.onnx")
        kept = write(result, place)[0]
        remedy = f"the model was kept as {kept}"
    report = _report(reduction, measured, None if kept is None else identity(load(kept), str(kept)))
    return Rejected(f"{wrong.name}: {wrong.detail}", report, file=target.output, remedy=remedy)


def _report(
    reduction: Reduction,
    measured: change.Measured,
    output: schema.ModelIdentity | None = None,
    ledger: str | None = None,
) -> schema.MergeReport:
    summary = _summary(reduction.plan)
    return change.merge_report(
        reduction.before,
        reduction.after,
        summary,
        replace(measured, notes=(*measured.notes, *reduction.notes)),
        output=output,
        ledger=ledger,
        declined=reduction.declined,
    )


def _summary(plan: MergePlan) -> schema.PlanSummary:
    proven = {id(m) for merges in exact_rounds(plan) for m in merges}
    removed = {True: 0, False: 0}
    for merge in plan.merges:
        removed[id(merge) in proven] += merge.size - len(merge.keep)
    groups = len({m.group for m in plan.merges})
    return schema.PlanSummary(plan.method, plan.tau, groups, removed[True], removed[False])
