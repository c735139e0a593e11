"""What `onnxdup.evaluation` measured, in the words of the schema."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from onnxdup import __version__
from onnxdup.graph import Document
from onnxdup.reporting import schema

if TYPE_CHECKING:  # evaluation brings scipy.stats and onnxruntime, which a report does not need
    from onnxdup import evaluation

T = TypeVar("T")
TOOL = schema.Tool("onnxdup", __version__)
PROVIDERS = {"CPUExecutionProvider": "CPU", "CUDAExecutionProvider": "CUDA"}


def identity(document: Document, path: str | None = None) -> schema.ModelIdentity:
    """Which model this is; `path` where it is about to lie at another place than it was read from."""
    return schema.ModelIdentity(
        path=path or (None if document.path is None else str(document.path)),
        sha256=document.sha256(),
        bytes=document.nbytes,
        producer=document.producer,
        ir_version=document.ir_version,
        opsets=dict(document.opsets),
    )


def evaluation_report(document: Document, found: evaluation.Evaluation) -> schema.EvaluationReport:
    """Document of `evaluate`."""
    return schema.EvaluationReport(
        schema="onnxdup/evaluation",
        schema_version=schema.SCHEMA_VERSION,
        tool=TOOL,
        model=identity(document),
        parameters=found.cost.parameters,
        macs=_per_sample(found.cost),
        inputs=_inputs(found, found.accuracy),
        provider=provider(found),
        provider_note=found.note,
        accuracy=accuracy(found.accuracy),
        latency=None if found.latency is None else _same(schema.Latency, found.latency),
    )


def accuracy(found: evaluation.Accuracy | None) -> schema.Accuracy | None:
    """Accuracy without its per-sample answers."""
    if found is None:
        return None
    return schema.Accuracy(found.samples, found.top1, _same(schema.Interval, found.top1_interval), found.top5)


def paired(found: evaluation.Paired | None) -> schema.Paired | None:
    """Discordant pairs, p value and drop."""
    if found is None:
        return None
    interval = _same(schema.Interval, found.drop_interval)
    return schema.Paired(found.only_before_right, found.only_after_right, found.p_value, found.drop, interval)


def fidelity(found: evaluation.Comparison) -> tuple[schema.Fidelity, ...]:
    """One entry per output, with the noise of the original against itself."""
    return tuple(
        schema.Fidelity(
            output=f.output,
            max_absolute_error=f.max_absolute_error,
            mean_absolute_error=f.mean_absolute_error,
            relative_error=f.relative_error,
            cosine=f.cosine,
            agreement=f.agreement,
            noise=found.noise.floor(f.output),
            note=f.note,
        )
        for f in found.fidelity
    )


def inputs(found: evaluation.Comparison) -> schema.Inputs:
    """What both models were run on."""
    return _inputs(found, found.accuracy_before)


def macs(found: evaluation.Comparison) -> schema.Change | None:
    """Multiply-accumulates of one sample, where the shapes of all layers are known."""
    before, after = _per_sample(found.cost_before), _per_sample(found.cost_after)
    return None if before is None or after is None else schema.Change(before, after)


def provider(found: evaluation.Comparison | evaluation.Evaluation) -> str:
    """CPU, CUDA, or the execution provider's own name."""
    return PROVIDERS.get(found.provider, found.provider)


def _inputs(
    found: evaluation.Comparison | evaluation.Evaluation, measured: evaluation.Accuracy | None
) -> schema.Inputs:
    return schema.Inputs(
        found.source, found.samples, measured is not None, found.seed if found.synthetic else None
    )


def _per_sample(cost: evaluation.Cost) -> int | None:
    return None if cost.macs is None else round(cost.macs / max(cost.batch, 1))


def _same(cls: type[T], value: Any) -> T:
    """A schema class from an object with the same fields."""
    return cls(**{f.name: getattr(value, f.name) for f in dataclasses.fields(cls)})  # type: ignore[arg-type]
