"""Where the batches of a comparison come from: a data set, or inputs made up for the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.errors import UsageError
from onnxdup.evaluation.batching import Batch, Batching, working_batches
from onnxdup.evaluation.data import as_dataset
from onnxdup.evaluation.synth import Synthesis, plan_inputs
from onnxdup.graph import Document
from onnxdup.runtime import Session

SYNTHETIC_SAMPLES = 8
_SYNTHETIC_BATCH = 2


@dataclass(frozen=True)
class DataSource:
    """Batches of a data set."""

    batching: Batching

    @property
    def name(self) -> str:
        """Where the data come from."""
        return self.batching.dataset.source

    @property
    def samples(self) -> int:
        """Samples in all batches together."""
        return len(self.batching.dataset)

    @property
    def labels(self) -> np.ndarray | None:
        """(samples,) or None."""
        return self.batching.dataset.labels

    def batches(self) -> Iterator[Batch]:
        """The batches in order of the samples."""
        return self.batching.batches()

    def single(self) -> Batch:
        """The first sample, or the first batch where its size is fixed."""
        size = self.batching.size if self.batching.fill else 1
        return Batching(self.batching.dataset, self.batching.inputs, size, self.batching.fill).batch(0)


@dataclass(frozen=True)
class MadeUpSource:
    """Random inputs: one draw per batch, seeded by `seed` and its number."""

    synthesis: Synthesis
    one: Synthesis
    runs: int
    seed: int
    name: str = "random inputs"
    labels: None = None

    @property
    def samples(self) -> int:
        """Samples in all batches together."""
        return self.runs * self.synthesis.batch

    def batches(self) -> Iterator[Batch]:
        """The draws."""
        size = self.synthesis.batch
        for run in range(self.runs):
            yield Batch(self.synthesis.draw(self.seed + run), run * size, size, size)

    def single(self) -> Batch:
        """One draw of a single sample, or of the batch that the model fixes."""
        return Batch(self.one.draw(self.seed), 0, self.one.batch, self.one.batch)


def open_source(
    data: Any,
    document: Document,
    session: Session,
    *,
    batch: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> DataSource | MadeUpSource:
    """Batches for `document`, whose open `session` tries them out.

    `data` None makes inputs up (`samples`, default 8, in all; `input_shapes` fixes shapes); else it is
    anything that `as_dataset` takes, and `samples` of it are drawn by `seed`.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"{samples} samples asked for", remedy="ask for at least one")
    if data is not None:
        return DataSource(working_batches(as_dataset(data, document).take(samples, seed), session, batch))
    wanted = samples or SYNTHETIC_SAMPLES
    size = min(batch or _SYNTHETIC_BATCH, wanted)
    synthesis = plan_inputs(document, size, input_shapes, session=session)
    one = synthesis if synthesis.batch == 1 else plan_inputs(document, 1, input_shapes, session=session)
    return MadeUpSource(synthesis, one, max(1, math.ceil(wanted / max(1, synthesis.batch))), seed)
