"""Two models side by side on the same inputs, provider, batches and settings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxdup.evaluation.accuracy import Accuracy
from onnxdup.evaluation.cost import Cost, measured_cost
from onnxdup.evaluation.fidelity import Fidelity
from onnxdup.evaluation.latency import Latency
from onnxdup.evaluation.pair import Noise, Pair, as_document, same_interface
from onnxdup.evaluation.serial import as_plain
from onnxdup.evaluation.source import MadeUpSource, open_source
from onnxdup.evaluation.statistics import Paired, paired
from onnxdup.evaluation.tolerance import Tolerance, exact_tolerance


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
    original: Any,
    reduced: Any,
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
    """Run both models (documents, or whatever `load` takes) on the same batches and measure how far they
    differ.

    `data` is anything that `as_dataset` takes; None makes inputs up. `output` names the classifier's output
    where the choice by shape is wrong. `timed` measures latency as well. Both models run on the same
    provider; `auto` uses the GPU only if both can. Raises `CannotVerify` where a model cannot run,
    `InputError` where data do not fit or the models take or give different things.
    """
    first, second = as_document(original), as_document(reduced)
    same_interface(first, second)
    with contextlib.ExitStack() as stack:
        pair = Pair(first, second, provider, stack)
        source = open_source(
            data, first, pair.a, batch=batch, samples=samples, seed=seed, input_shapes=input_shapes
        )
        pair.restart()
        fidelity, before, after = pair.run(source, output, confidence)
        speed = pair.latency(source) if timed else (None, None)
        single = source.single()
        return Comparison(
            source=source.name,
            samples=source.samples,
            batch=next(source.batches()).size,
            seed=seed,
            synthetic=isinstance(source, MadeUpSource),
            provider=pair.a.provider,
            note=pair.note,
            placement=pair.a.placement.summary(),
            fidelity=fidelity,
            noise=pair.noise(source),
            tolerance=exact_tolerance(first, exact_ulp),
            accuracy_before=before,
            accuracy_after=after,
            paired=paired(before.right, after.right, confidence) if before and after else None,
            cost_before=measured_cost(first, single.feeds, single.size),
            cost_after=measured_cost(second, single.feeds, single.size),
            latency_before=speed[0],
            latency_after=speed[1],
            random=pair.random,
        )
