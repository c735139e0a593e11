"""One model on data: accuracy, speed and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxdup.evaluation.accuracy import Accuracy, AccuracyMeter
from onnxdup.evaluation.cost import Cost, measured_cost
from onnxdup.evaluation.latency import Latency, latency
from onnxdup.evaluation.pair import as_document
from onnxdup.evaluation.serial import as_plain
from onnxdup.evaluation.source import DataSource, MadeUpSource, open_source
from onnxdup.graph import Document
from onnxdup.runtime import Session


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found. `accuracy` is None without labels, `latency` unless it was asked for."""

    source: str
    samples: int
    batch: int
    seed: int
    synthetic: bool
    provider: str
    note: str
    placement: str
    accuracy: Accuracy | None
    cost: Cost
    latency: Latency | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values (non-finite numbers as None)."""
        plain: dict[str, Any] = as_plain(self)
        return plain


def evaluate(
    model: Any,
    data: Any = None,
    *,
    provider: str = "auto",
    batch: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    output: str | None = None,
    timed: bool = True,
    confidence: float = 0.95,
) -> Evaluation:
    """Accuracy (where `data` has labels), latency of one batch and cost of a model.

    `data` is anything that `as_dataset` takes; None makes inputs up. `output` names the classifier's output
    where the choice by shape is wrong. Raises as `compare` does.
    """
    document = as_document(model)
    with Session.open(document, provider=provider) as session:
        source = open_source(
            data, document, session, batch=batch, samples=samples, seed=seed, input_shapes=input_shapes
        )
        single = source.single()
        return Evaluation(
            source=source.name,
            samples=source.samples,
            batch=next(source.batches()).size,
            seed=seed,
            synthetic=isinstance(source, MadeUpSource),
            provider=session.provider,
            note=session.note,
            placement=session.placement.summary(),
            accuracy=_accuracy(session, source, output, confidence),
            cost=measured_cost(document, single.feeds, single.size),
            latency=_latency(document, session, source) if timed else None,
        )


def _accuracy(
    session: Session, source: DataSource | MadeUpSource, output: str | None, confidence: float
) -> Accuracy | None:
    if source.labels is None:
        return None
    meter = AccuracyMeter(source.labels, output, confidence)
    for batch in source.batches():
        meter.add(batch.cut(session.run(batch.feeds)), batch.count)
    return meter.result()


def _latency(document: Document, session: Session, source: DataSource | MadeUpSource) -> Latency:
    batch = next(source.batches())
    name = session.provider_name
    with Session.open(document, provider=name, optimize=True, deterministic=False) as timed:
        return latency([timed], batch.feeds, batch=batch.size)[0]
