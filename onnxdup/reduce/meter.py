"""Measuring candidates against one original, which answers only once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from onnxdup.errors import CannotVerify
from onnxdup.evaluation import Paired, latency, measured_cost, paired
from onnxdup.evaluation.accuracy import Accuracy, AccuracyMeter
from onnxdup.evaluation.fidelity import FidelityMeter
from onnxdup.evaluation.source import open_source
from onnxdup.graph import Document
from onnxdup.graph.expose import random_nodes
from onnxdup.runtime import Session

HELD_BYTES = 1 << 28
"""Outputs of the original that are kept in memory; beyond that it runs again beside every candidate."""
LATENCY_RUNS = 30


@dataclass(frozen=True)
class Quality:
    """A candidate beside the original on the same samples.

    `accuracy` and `paired` (against the original) are None without labels. `error` is
    sqrt(Σ |a − b|² / Σ |a|²), the largest over the outputs; `agreement` the share of equal top-1 answers.
    """

    accuracy: Accuracy | None
    paired: Paired | None
    error: float
    agreement: float | None
    finite: bool


class Meter:
    """Runs on the same data (or made-up inputs), provider and batches. A context manager."""

    def __init__(
        self,
        original: Document,
        data: Any = None,
        *,
        samples: int | None = None,
        seed: int = 0,
        provider: str = "auto",
        batch: int = 1,
        input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        if noisy := random_nodes(original):
            raise CannotVerify(
                "the model draws random numbers, so outputs cannot be compared",
                file=original.path,
                node=noisy[0],
                remedy="export it with a seed",
            )
        self._stack = contextlib.ExitStack()
        self._session = self._stack.enter_context(Session.open(original, provider=provider))
        self._data = (data, samples, seed, input_shapes)
        self.original, self.batch = original, batch
        self.source = open_source(
            data, original, self._session, samples=samples, seed=seed, input_shapes=input_shapes
        )
        self._single = self.source.single()
        self._held: list[dict[str, Any]] | None = []
        self._before: Accuracy | None = None

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def inventing(self, samples: int) -> Meter:
        """Another meter of the same model, on so many made-up samples."""
        _, _, seed, shapes = self._data
        name = self._session.provider_name
        return Meter(self.original, samples=samples, seed=seed, provider=name, input_shapes=shapes)

    @property
    def provider(self) -> str:
        """The execution provider that all models run on."""
        return self._session.provider

    @property
    def note(self) -> str:
        """What `auto` took, and why."""
        return self._session.note

    @property
    def labelled(self) -> bool:
        """Do the data have labels?"""
        return self.source.labels is not None

    @property
    def before(self) -> Accuracy | None:
        """Accuracy of the original, None without labels."""
        if self._before is None and self.labelled:
            self._before = self._answer()
        return self._before

    def macs(self, document: Document) -> int | None:
        """Multiply-accumulates of one sample, None where shapes are not known."""
        found = measured_cost(document, self._single.feeds, self._single.size)
        return None if found.macs is None else round(found.macs / max(found.batch, 1))

    def latency(self, document: Document) -> float:
        """Median milliseconds of a batch, optimised as for deployment."""
        data, samples, seed, shapes = self._data
        source = open_source(
            data,
            self.original,
            self._session,
            batch=self.batch,
            samples=samples,
            seed=seed,
            input_shapes=shapes,
        )
        feeds = next(source.batches())
        name = self._session.provider_name
        with Session.open(document, provider=name, optimize=True, deterministic=False) as session:
            return latency([session], feeds.feeds, batch=feeds.size, runs=LATENCY_RUNS)[0].median_ms

    def quality(self, document: Document, confidence: float = 0.95) -> Quality:
        """Runs a candidate on all samples."""
        before = self.before
        with Session.open(document, provider=self._session.provider_name) as session:
            return self._compare(session, before, confidence)

    def error(self, document: Document, samples: int = 256) -> float:
        """`Quality.error` on about so many samples, drawn evenly from all."""
        meters = {spec.name: FidelityMeter(spec.name) for spec in self._session.outputs}
        stride = max(1, self.source.samples // samples)
        with Session.open(document, provider=self._session.provider_name) as session:
            pairs = zip(self.source.batches(), self._outputs(), strict=True)
            for number, (batch, first) in enumerate(pairs):
                if number % stride == 0:
                    second = batch.cut(session.run(batch.feeds))
                    for name, meter in meters.items():
                        meter.add(first[name], second[name])
        return max((_relative(m) for m in meters.values()), default=0.0)

    def _compare(self, session: Session, before: Accuracy | None, confidence: float) -> Quality:
        labels = self.source.labels
        count = None if labels is None else AccuracyMeter(labels, before.output if before else None)
        meters = [FidelityMeter(spec.name) for spec in self._session.outputs]
        for batch, first in zip(self.source.batches(), self._outputs(), strict=True):
            second = batch.cut(session.run(batch.feeds))
            for meter in meters:
                meter.add(first[meter.output], second[meter.output])
            if count is not None:
                count.add(second, batch.count)
        found = [m.result() for m in meters]
        after = count.result() if count is not None else None
        pair = paired(before.right, after.right, confidence) if before and after else None
        broken = any(not f.finite and not math.isfinite(f.max_absolute_error) for f in found)
        agreements = [f.agreement for f in found if f.agreement is not None]
        error = max((_relative(m) for m in meters), default=0.0)
        return Quality(after, pair, error, min(agreements, default=None), not broken)

    def _outputs(self) -> Any:
        """The original's outputs, batch by batch: held, or made again."""
        if self._held:
            yield from self._held
            return
        held: list[dict[str, Any]] | None = [] if self._held is not None else None
        room = HELD_BYTES
        for batch in self.source.batches():
            out = batch.cut(self._session.run(batch.feeds))
            room -= sum(v.nbytes if isinstance(v, np.ndarray) else 1 << 20 for v in out.values())
            held = [*held, out] if held is not None and room > 0 else None
            yield out
        self._held = held

    def _answer(self) -> Accuracy:
        assert self.source.labels is not None
        meter = AccuracyMeter(self.source.labels)
        for batch, out in zip(self.source.batches(), self._outputs(), strict=True):
            meter.add(out, batch.count)
        return meter.result()


def _relative(meter: FidelityMeter) -> float:
    """sqrt(Σ |a − b|² / Σ |a|²) of one output."""
    if not math.isfinite(meter.largest):
        return math.inf
    product, power, other = meter.products.tolist()
    change = max(power - 2 * product + other, 0.0)
    if meter.largest == 0:
        return 0.0
    return math.sqrt(change / power) if power > 0 else math.inf
