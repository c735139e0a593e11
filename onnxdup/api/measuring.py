"""From a model to the facts that budgets are judged by."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxdup import evaluation
from onnxdup.errors import CannotVerify
from onnxdup.gate.archive import agreement
from onnxdup.gate.schema import Facts, Reference
from onnxdup.graph import Document, load
from onnxdup.reporting import runs, schema
from onnxdup.reporting.build import build_report


@dataclass(frozen=True)
class Measuring:
    """How models are measured.

    `taus` are the thresholds of duplicates, `run` demands that the model is run where nothing else needs it,
    `latency` that it is timed beside the base.
    """

    taus: tuple[float, ...] = (1.0,)
    run: bool = False
    latency: bool = False
    samples: int | None = None
    seed: int = 0
    provider: str = "auto"
    input_shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Measuring:
        """The inverse of `as_plain`, after JSON has made lists of tuples."""
        shapes = {k: tuple(v) for k, v in values["input_shapes"].items()}
        lists = {k: tuple(values[k]) for k in ("taus", "include", "exclude")}
        return cls(**{**values, **lists, "input_shapes": shapes})


def measure(
    model: Any, base: Any = None, data: Any = None, *, how: Measuring, allow_linked_data: bool = False
) -> Facts:
    """The facts about a model, beside `base` where there is one. Raises as `report` and `evaluate` do."""
    document = _load(model, allow_linked_data)
    report = _report(document, how)
    if base is not None:
        return _beside(document, report, _load(base, allow_linked_data), data, how)
    if data is None and not how.run and how.provider != "cuda":
        return _facts(report)
    found = evaluation.evaluate(
        document,
        data,
        provider=how.provider,
        samples=how.samples,
        seed=how.seed,
        input_shapes=how.input_shapes or None,
        timed=False,
    )
    ran = runs.evaluation_report(document, found)
    return _facts(
        report,
        macs=ran.macs,
        inputs=ran.inputs,
        provider=ran.provider,
        provider_note=ran.provider_note,
        accuracy=ran.accuracy,
    )


def _load(source: Any, allow_linked_data: bool) -> Document:
    return source if isinstance(source, Document) else load(source, allow_linked_data=allow_linked_data)


def _report(document: Document, how: Measuring) -> schema.ModelReport:
    return build_report(
        document,
        how.taus,
        include=how.include,
        exclude=how.exclude,
        input_shapes=how.input_shapes or None,
    )


def _facts(report: schema.ModelReport, **measured: Any) -> Facts:
    total = report.totals
    known = {"macs": None, "inputs": None, "provider": "", "provider_note": "", "accuracy": None}
    return Facts(
        model=report.model,
        filters=total.filters,
        taus=total.taus,
        parameters=total.parameters,
        **{**known, "latency": None, "base": None, **measured},
    )


def _beside(
    document: Document, report: schema.ModelReport, base: Document, data: Any, how: Measuring
) -> Facts:
    found = evaluation.compare(
        base,
        document,
        data=data,
        provider=how.provider,
        samples=how.samples,
        seed=how.seed,
        input_shapes=how.input_shapes or None,
        timed=how.latency,
    )
    if found.random:
        raise CannotVerify(
            "the base draws random numbers, so outputs cannot be compared",
            file=base.path,
            node=found.random[0],
            remedy="export it with a seed",
        )
    macs, total = runs.macs(found), _report(base, how)
    reference = Reference(
        model=total.model,
        filters=total.totals.filters,
        taus=total.totals.taus,
        parameters=total.totals.parameters,
        macs=macs.before if macs else None,
        accuracy=runs.accuracy(found.accuracy_before),
        paired=runs.paired(found.paired),
        agreement=agreement(runs.fidelity(found)),
        latency=_latency(found.latency_before),
    )
    return _facts(
        report,
        macs=macs.after if macs else None,
        inputs=runs.inputs(found),
        provider=runs.provider(found),
        provider_note=found.note,
        accuracy=runs.accuracy(found.accuracy_after),
        latency=_latency(found.latency_after),
        base=reference,
    )


def _latency(found: evaluation.Latency | None) -> schema.Latency | None:
    return None if found is None else schema.Latency(**dataclasses.asdict(found))
