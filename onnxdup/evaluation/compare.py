"""Two models side by side on the same inputs, provider, batches and settings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdup.errors import CannotVerify, InputError
from onnxdup.evaluation.accuracy import Accuracy, AccuracyMeter
from onnxdup.evaluation.batching import Batch
from onnxdup.evaluation.cost import Cost, measured_cost
from onnxdup.evaluation.fidelity import Fidelity, FidelityMeter, compare_outputs
from onnxdup.evaluation.latency import Latency, latency
from onnxdup.evaluation.serial import as_plain
from onnxdup.evaluation.source import DataSource, MadeUpSource, open_source
from onnxdup.evaluation.statistics import Paired, paired
from onnxdup.evaluation.tolerance import Tolerance, exact_tolerance
from onnxdup.graph import Document, load
from onnxdup.runtime import Session

Model = str | Path | Document
_RANDOM_OPS = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


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


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. `fidelity` has one entry per output, the reduced model against the original.

    `synthetic` says that the inputs were made up: agreement on them is no accuracy. `random` names the nodes
    that make the original's outputs random. `accuracy_*` and `paired` are None without labels, `latency_*`
    unless asked for.
    """

    source: str
    samples: int
    batch: int
    seed: int
    synthetic: bool
    provider: str
    note: str
    placement: str
    fidelity: tuple[Fidelity, ...]
    noise: Noise
    tolerance: Tolerance
    accuracy_before: Accuracy | None
    accuracy_after: Accuracy | None
    paired: Paired | None
    cost_before: Cost
    cost_after: Cost
    latency_before: Latency | None = None
    latency_after: Latency | None = None
    random: tuple[str, ...] = ()

    @property
    def max_absolute_error(self) -> float:
        """The largest error over all outputs."""
        return max((f.max_absolute_error for f in self.fidelity), default=0.0)

    @property
    def agreement(self) -> float | None:
        """The smallest top-1 agreement over the outputs that hold class scores."""
        return min((f.agreement for f in self.fidelity if f.agreement is not None), default=None)

    @property
    def finite(self) -> bool:
        """Whether every output value of the reduced model is finite."""
        return all(f.finite for f in self.fidelity)

    def allowed(self, output: str) -> float:
        """The absolute error that an exact merge may cause in an output."""
        scale = next(f.scale for f in self.fidelity if f.output == output)
        return self.tolerance.absolute(scale, self.noise.floor(output))

    @property
    def beyond_exact(self) -> tuple[str, ...]:
        """The outputs that differ by more than rounding can explain; empty for a correct exact merge."""
        return tuple(f.output for f in self.fidelity if not f.max_absolute_error <= self.allowed(f.output))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values (non-finite numbers as None)."""
        extra = {
            "max_absolute_error": self.max_absolute_error,
            "agreement": self.agreement,
            "finite": self.finite,
            "beyond_exact": list(self.beyond_exact),
        }
        return {**as_plain(self), **as_plain(extra)}


def compare(
    original: Model,
    reduced: Model,
    *,
    data: Any = None,
    provider: str = "auto",
    batch: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
    output: str | None = None,
    timed: bool = False,
    exact_ulp: int = 4,
    confidence: float = 0.95,
) -> Comparison:
    """Run both models on the same batches and measure how far they differ.

    `data` is anything that `as_dataset` takes; None makes inputs up. `output` names the classifier's output
    where the choice by shape is wrong. `timed` measures latency as well. Both models run on the same
    provider; `auto` uses the GPU only if both can. Raises `CannotVerify` where a model cannot run,
    `InputError` where data do not fit or the models take or give different things.
    """
    first, second = _document(original), _document(reduced)
    _same_interface(first, second)
    with contextlib.ExitStack() as stack:
        a, b = _open_pair(first, second, provider, stack)
        source = open_source(
            data, first, a, batch=batch, samples=samples, seed=seed, input_shapes=input_shapes
        )
        fidelity, before, after = _run_both(a, b, source, output, confidence)
        noise = _noise(first, a, source)
        speed = _latency(first, second, a, source) if timed else (None, None)
        single = source.single()
        return Comparison(
            source=source.name,
            samples=source.samples,
            batch=next(source.batches()).size,
            seed=seed,
            synthetic=isinstance(source, MadeUpSource),
            provider=a.provider,
            note=a.note,
            placement=a.placement.summary(),
            fidelity=fidelity,
            noise=noise,
            tolerance=exact_tolerance(first, exact_ulp),
            accuracy_before=before,
            accuracy_after=after,
            paired=paired(before.right, after.right, confidence) if before and after else None,
            cost_before=measured_cost(first, single.feeds, single.size),
            cost_after=measured_cost(second, single.feeds, single.size),
            latency_before=speed[0],
            latency_after=speed[1],
            random=random_nodes(first),
        )


def random_nodes(document: Document) -> tuple[str, ...]:
    """Nodes that draw random numbers without a seed: outputs then differ from run to run."""
    return tuple(
        n.name for n in document.nodes if not n.domain and n.op_type in _RANDOM_OPS and "seed" not in n.attrs
    )


def _document(model: Model) -> Document:
    return model if isinstance(model, Document) else load(model)


def _same_interface(first: Document, second: Document) -> None:
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


def _open_pair(
    first: Document, second: Document, provider: str, stack: contextlib.ExitStack
) -> tuple[Session, Session]:
    a = stack.enter_context(Session.open(first, provider=provider))
    b = stack.enter_context(Session.open(second, provider=provider))
    if a.provider == b.provider:
        return a, b
    note = a.note or b.note
    a, b = (stack.enter_context(Session.open(d, provider="cpu")) for d in (first, second))
    a.note = note
    return a, b


def _run_both(
    a: Session, b: Session, source: DataSource | MadeUpSource, output: str | None, confidence: float
) -> tuple[tuple[Fidelity, ...], Accuracy | None, Accuracy | None]:
    meters = [FidelityMeter(name) for name in dict.fromkeys(spec.name for spec in a.outputs)]
    labels = source.labels
    counts = [] if labels is None else [AccuracyMeter(labels, output, confidence) for _ in range(2)]
    for batch in source.batches():
        results = [batch.cut(session.run(batch.feeds)) for session in (a, b)]
        for meter in meters:
            meter.add(results[0][meter.output], results[1][meter.output])
        for count, result in zip(counts, results, strict=False):
            count.add(result, batch.count)
    before, after = [count.result() for count in counts] or (None, None)
    return tuple(meter.result() for meter in meters), before, after


def _noise(document: Document, session: Session, source: DataSource | MadeUpSource) -> Noise:
    batch = next(source.batches())
    once = session.run(batch.feeds)
    repeated = compare_outputs(once, session.run(batch.feeds))
    return Noise(repeated, _reordered(document, session, batch, once))


def _reordered(
    document: Document, session: Session, batch: Batch, once: Mapping[str, Any]
) -> tuple[Fidelity, ...]:
    try:
        with Session.open(document, provider=session.provider_name, optimize=True) as other:
            return compare_outputs(once, other.run(batch.feeds))
    except CannotVerify:  # some graphs load unoptimised only; the repeated run then stands alone
        return ()


def _latency(
    first: Document, second: Document, session: Session, source: DataSource | MadeUpSource
) -> tuple[Latency, Latency]:
    batch = next(source.batches())
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(
                Session.open(d, provider=session.provider_name, optimize=True, deterministic=False)
            )
            for d in (first, second)
        ]
        before, after = latency(opened, batch.feeds, batch=batch.size)
    return before, after
