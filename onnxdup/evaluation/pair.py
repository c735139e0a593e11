"""Two models opened alike: same provider, same settings, same state of their random generators."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxdup.errors import CannotVerify, InputError
from onnxdup.evaluation.accuracy import Accuracy, AccuracyMeter
from onnxdup.evaluation.fidelity import Fidelity, FidelityMeter, compare_outputs
from onnxdup.evaluation.latency import Latency, latency
from onnxdup.evaluation.source import DataSource, MadeUpSource
from onnxdup.graph import Document, load
from onnxdup.graph.expose import random_nodes, with_seeds
from onnxdup.runtime import Session


@dataclass(frozen=True)
class Noise:
    """The original against itself: the same session twice (`repeated`), and with graph optimisation
    (`reordered`).

    `reordered` sums in another order, as an exact merge does; it is empty where onnxruntime could not
    optimise.
    """

    repeated: tuple[Fidelity, ...]
    reordered: tuple[Fidelity, ...]

    def floor(self, output: str) -> float:
        """The largest finite absolute error measured for an output."""
        errors = [f.max_absolute_error for f in self.repeated + self.reordered if f.output == output]
        return max((e for e in errors if e != float("inf")), default=0.0)


class Pair:
    """Sessions `a` and `b` of two models on the same provider, which `stack` closes.

    Unseeded random nodes (`random`, those of the first model) get the same seeds in both models. `auto` goes
    back to the CPU with both models where one of them cannot use the GPU; `note` says so.
    """

    def __init__(self, first: Document, second: Document, provider: str, stack: contextlib.ExitStack) -> None:
        self.random = random_nodes(first)
        self.first, self.second = _seeded(first), _seeded(second)
        self._stack = stack
        self.a, self.b = self._open(provider)
        self.note = self.a.note or self.b.note
        if self.a.provider != self.b.provider:
            self.a, self.b = self._open("cpu")

    def restart(self) -> None:
        """New sessions where earlier runs have moved the random generators."""
        if self.random:
            self.a, self.b = self._open(self.a.provider_name)

    def run(
        self, source: DataSource | MadeUpSource, output: str | None, confidence: float
    ) -> tuple[tuple[Fidelity, ...], Accuracy | None, Accuracy | None]:
        """All batches through both models: fidelity per output, and accuracies where there are labels."""
        meters = [FidelityMeter(name) for name in dict.fromkeys(spec.name for spec in self.a.outputs)]
        labels = source.labels
        counts = [] if labels is None else [AccuracyMeter(labels, output, confidence) for _ in range(2)]
        for batch in source.batches():
            results = [batch.cut(session.run(batch.feeds)) for session in (self.a, self.b)]
            for meter in meters:
                meter.add(results[0][meter.output], results[1][meter.output])
            for count, result in zip(counts, results, strict=False):
                count.add(result, batch.count)
        before, after = [count.result() for count in counts] or (None, None)
        return tuple(meter.result() for meter in meters), before, after

    def noise(self, source: DataSource | MadeUpSource) -> Noise:
        """The first model against itself on the first batch."""
        feeds = next(source.batches()).feeds
        provider = self.a.provider_name
        if not self.random:
            once, again = self.a.run(feeds), self.a.run(feeds)
        else:
            once, again = (_run_once(self.first, provider, False, feeds) for _ in range(2))
        try:
            reordered = compare_outputs(once, _run_once(self.first, provider, True, feeds))
        except CannotVerify:  # some graphs load unoptimised only; the repeated run then stands alone
            reordered = ()
        return Noise(compare_outputs(once, again), reordered)

    def latency(self, source: DataSource | MadeUpSource) -> tuple[Latency, Latency]:
        """Both models timed in turns on the first batch, optimised as for deployment."""
        batch = next(source.batches())
        provider = self.a.provider_name
        with contextlib.ExitStack() as stack:
            opened = [
                stack.enter_context(Session.open(d, provider=provider, optimize=True, deterministic=False))
                for d in (self.first, self.second)
            ]
            before, after = latency(opened, batch.feeds, batch=batch.size)
        return before, after

    def _open(self, provider: str) -> tuple[Session, Session]:
        a = self._stack.enter_context(Session.open(self.first, provider=provider))
        return a, self._stack.enter_context(Session.open(self.second, provider=provider))


def as_document(model: Any) -> Document:
    """A document, or whatever `load` takes."""
    return model if isinstance(model, Document) else load(model)


def same_interface(first: Document, second: Document) -> None:
    """Refuse two models that take or give different things."""
    for what in ("inputs", "outputs"):
        mine = [(v.name, v.kind, v.dtype) for v in getattr(first, what)]
        other = [(v.name, v.kind, v.dtype) for v in getattr(second, what)]
        if mine != other:
            names = ", ".join(name for name, _, _ in mine)
            raise InputError(
                f"its {what} are not those of the original ({names})",
                file=second.path,
                remedy="compare models that take and give the same",
            )


def _seeded(document: Document) -> Document:
    return with_seeds(document) if random_nodes(document) else document


def _run_once(document: Document, provider: str, optimize: bool, feeds: Mapping[str, Any]) -> dict[str, Any]:
    with Session.open(document, provider=provider, optimize=optimize) as session:
        return session.run(feeds)
