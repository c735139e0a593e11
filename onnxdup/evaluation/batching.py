"""Cutting a data set into the batches that a model takes, and its outputs back into samples.

A model with a free batch takes any size; one with a fixed batch of B gets B samples at a time, the last batch
filled with copies of its last sample, whose outputs are cut off again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.errors import CannotVerify, InputError
from onnxdup.evaluation.casting import cast
from onnxdup.evaluation.data import Dataset
from onnxdup.evaluation.layout import Layout, fixed
from onnxdup.runtime import IoSpec, Session

DEFAULT_BATCH = 32
_LOG = logging.getLogger("onnxdup.evaluation")


@dataclass(frozen=True)
class Batch:
    """Feeds of one run: `count` real samples from index `start` on, `size` with the filling.

    `per_sample` is False where the model's outputs have no sample axis (it takes one whole input per run).
    """

    feeds: Mapping[str, np.ndarray]
    start: int
    count: int
    size: int
    per_sample: bool = True

    def cut(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """`outputs` without the filling, and with a sample axis of 1 where the model has none."""
        return {name: self._cut(value) for name, value in outputs.items()}

    def _cut(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if not self.per_sample:
                return value[None]
            filled = self.count < self.size and value.ndim > 0 and value.shape[0] == self.size
            return value[: self.count] if filled else value
        filled = self.count < self.size and isinstance(value, list) and len(value) == self.size
        return value[: self.count] if filled else value


@dataclass(frozen=True)
class Batching:
    """A data set cut for a model: iterate `batches()`. `fill` where the batch size is the model's own."""

    dataset: Dataset
    inputs: tuple[IoSpec, ...]
    size: int
    fill: bool

    def batches(self) -> Iterator[Batch]:
        """The batches in order of the samples."""
        for start in range(0, len(self.dataset), self.size):
            yield self.batch(start)

    def batch(self, start: int) -> Batch:
        """The batch that begins at sample `start`; casts to the dtypes of the inputs."""
        count = min(self.size, len(self.dataset) - start)
        size = self.size if self.fill else count
        index = np.minimum(np.arange(start, start + size), start + count - 1)
        feeds = {spec.name: self._feed(spec, index) for spec in self.inputs}
        layouts = {self.dataset.layout(spec.name) for spec in self.inputs}
        return Batch(
            feeds, start, count, size, per_sample=Layout.BATCHED in layouts or Layout.STACKED not in layouts
        )

    def _feed(self, spec: IoSpec, index: np.ndarray) -> np.ndarray:
        array = self.dataset.inputs[spec.name]
        layout = self.dataset.layout(spec.name)
        if layout is Layout.BATCHED:
            array = array[index]
        elif layout is Layout.STACKED:
            array = array[index[0]]
        return cast(spec.name, np.asarray(array), spec.dtype, file=self.dataset.source)


def plan_batches(dataset: Dataset, inputs: Sequence[IoSpec], batch: int | None = None) -> Batching:
    """Choose the batch size: the model's own where it is fixed, 1 for stacked arrays, else `batch` (default
    32).
    """
    unfed = [spec.name for spec in inputs if spec.name not in dataset.inputs]
    if unfed:
        raise InputError(f"no data for the input {unfed[0]!r}", file=dataset.source)
    if any(dataset.layout(spec.name) is Layout.STACKED for spec in inputs):
        return Batching(dataset, tuple(inputs), 1, fill=False)
    batched = [spec for spec in inputs if dataset.layout(spec.name) is Layout.BATCHED]
    sizes = {int(spec.shape[0]) for spec in batched if spec.shape and fixed(spec.shape[0])}  # type: ignore[arg-type]
    if len(sizes) > 1:
        raise InputError(
            f"the inputs have different fixed batches {sorted(sizes)}",
            file=dataset.source,
            remedy="give whole inputs, one per sample",
        )
    if sizes:
        return Batching(dataset, tuple(inputs), sizes.pop(), fill=True)
    return Batching(dataset, tuple(inputs), max(1, batch or DEFAULT_BATCH) if batched else 1, fill=False)


def working_batches(dataset: Dataset, session: Session, batch: int | None = None) -> Batching:
    """`plan_batches`, falling back to batch 1 where the model declares a free batch but cannot run the chosen
    one.

    Some exports bake the batch of 1 into a Reshape: they then stop, or give outputs that no longer count
    samples.
    """
    planned = plan_batches(dataset, session.inputs, batch)
    first = planned.batch(0)
    if planned.fill or first.size == 1:
        return planned
    try:
        outputs = session.run(first.feeds)
    except CannotVerify as error:
        _LOG.debug("batch %d: %s", first.size, error)
    else:
        if any(counts_samples(value, first.size) for value in outputs.values()):
            return planned
    return Batching(dataset, planned.inputs, 1, fill=False)


def counts_samples(value: Any, size: int) -> bool:
    """Whether an output has one entry per sample of a batch."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and value.shape[0] == size
    return isinstance(value, list) and len(value) == size
