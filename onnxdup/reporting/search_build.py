"""What a search found, in the words of its document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from onnxdup import evaluation
from onnxdup.evaluation.source import MadeUpSource
from onnxdup.graph import Document
from onnxdup.reduce.budget import Budget
from onnxdup.reduce.meter import Meter, Quality
from onnxdup.reduce.search import Trial
from onnxdup.reduce.shrink import How, Shrinkage
from onnxdup.reporting import runs, schema
from onnxdup.reporting import search_schema as search
from onnxdup.reporting.runs import TOOL, identity

OPTIONS = {
    "keep": "keep",
    "parameters": "target-params",
    "macs": "target-macs",
    "bytes": "target-bytes",
    "latency_ms": "target-latency",
    "max_drop": "max-drop",
    "max_error": "max-error",
    "min_agreement": "min-agreement",
}


def budget(asked: Budget) -> search.Budget:
    """The budget under the names of the options."""
    named = [{OPTIONS[n]: float(v) for n, v in part.items()} for part in (asked.targets, asked.limits)]
    return search.Budget(named[0], named[1], asked.confidence)


def trial(tried: Trial) -> search.Trial:
    """One candidate."""
    known = {k: v for k, v in asdict(tried.measures).items() if k != "finite"}
    return search.Trial(position=tried.position, **known, enough=tried.enough, good=tried.good)


def shrink_report(
    document: Document,
    asked: Budget,
    how: How,
    found: Shrinkage,
    merged: schema.MergeReport | None,
    holdout: search.Holdout | None = None,
) -> search.ShrinkReport:
    """Document of `shrink`."""
    notes = () if merged is None else merged.notes
    return search.ShrinkReport(
        schema="onnxdup/shrink",
        schema_version=search.SCHEMA_VERSION,
        tool=TOOL,
        status="failed" if merged is None else merged.status,
        model=identity(document),
        budget=budget(asked),
        method=how.method,
        round_to=how.round_to,
        steps=len(found.path),
        chosen=None if merged is None else found.chosen.position,
        trials=tuple(trial(t) for t in found.trials),
        groups=() if merged is None else _widths(found),
        merge=merged,
        holdout=holdout,
        resumed=found.resumed,
        notes=tuple(n for n in found.notes if n not in notes),
    )


def unreached_report(
    document: Document, asked: Budget, how: How, steps: int, trials: Iterable[Trial], why: str
) -> search.ShrinkReport:
    """Document of a search that found nothing within the budget."""
    return search.ShrinkReport(
        schema="onnxdup/shrink",
        schema_version=search.SCHEMA_VERSION,
        tool=TOOL,
        status="failed",
        model=identity(document),
        budget=budget(asked),
        method=how.method,
        round_to=how.round_to,
        steps=steps,
        chosen=None,
        trials=tuple(trial(t) for t in trials),
        groups=(),
        merge=None,
        holdout=None,
        resumed=0,
        notes=(why,),
    )


def holdout(found: evaluation.Comparison) -> search.Holdout:
    """Both models on data that were not used to choose."""
    return search.Holdout(
        runs.inputs(found),
        runs.accuracy(found.accuracy_before),
        runs.accuracy(found.accuracy_after),
        runs.paired(found.paired),
        found.agreement,
    )


def _widths(found: Shrinkage) -> tuple[search.GroupWidth, ...]:
    before, left = found.reduction.before, {g.name: g.size for g in found.reduction.after.groups}
    return tuple(
        search.GroupWidth(g.name, schema.Change(g.size, left.get(g.name, g.size)), found.weights.get(g.name))
        for g in before.groups
        if g.frozen is None
    )


def sweep_point(
    method: str,
    document: Document,
    measured: Quality,
    macs: int | None,
    filters: int,
    *,
    tau: float | None = None,
    keep: float | None = None,
    note: str = "",
) -> search.SweepPoint:
    """One reduced model, measured."""
    return search.SweepPoint(
        method=method,
        tau=tau,
        keep=keep,
        filters=filters,
        parameters=evaluation.cost(document).parameters,
        macs=macs,
        bytes=document.nbytes,
        accuracy=runs.accuracy(measured.accuracy),
        paired=runs.paired(measured.paired),
        error=measured.error,
        agreement=measured.agreement,
        note=note,
    )


def sweep_inputs(meter: Meter, seed: int) -> schema.Inputs:
    """What all points were run on."""
    source = meter.source
    made_up = isinstance(source, MadeUpSource)
    return schema.Inputs(source.name, source.samples, meter.labelled, seed if made_up else None)
