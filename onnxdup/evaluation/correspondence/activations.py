"""What the filters of a network answer: the outputs of its layers on data, at a bounded number of points.

A point is a sample and, for layers with positions (images, sequences), a relative place in it: the same
points are read in every layer of both networks, whatever the resolution.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.channels import Layer
from onnxdup.errors import CannotVerify
from onnxdup.evaluation.batching import Batch, Batching, working_batches
from onnxdup.evaluation.data import Dataset
from onnxdup.graph import Document, Node
from onnxdup.graph.expose import with_outputs
from onnxdup.runtime import Session
from onnxdup.similarity.units import Floats, Singles

RUN_BYTES = 256 << 20
"""What the layers' outputs of one run may take."""
KEPT_BYTES = 256 << 20
"""What the values at all points may take, both networks together."""
POINTS = 10_000
FEWEST = 500
_PLACES = 3
_AXIS = {"Conv": 1, "ConvTranspose": 1, "FusedConv": 1, "Gemm": -1, "MatMul": -1, "Gather": -1}


@dataclass(frozen=True)
class Points:
    """Places (samples, draws, 3) in [0, 1): where each sample is looked at along its first three axes."""

    places: Floats

    @classmethod
    def draw(cls, samples: int, wanted: int, seed: int) -> Points:
        """About `wanted` points, equally many in every sample."""
        draws = max(1, math.ceil(wanted / samples))
        return cls(np.random.default_rng(seed).random((samples, draws, _PLACES)))

    def pick(self, values: np.ndarray, start: int) -> np.ndarray:
        """Values (samples, …places, channels) of the samples from `start` on: (samples · draws, channels), or
        (samples, channels) where there is one place only.
        """
        own = self.places[start : start + len(values)]
        sizes = values.shape[1:-1]
        if math.prod(sizes) == 1:
            return values.reshape(len(values), -1)
        index: list[Any] = [np.arange(len(values))[:, None]]
        index += [np.floor(own[:, :, min(k, _PLACES - 1)] * d).astype(np.intp) for k, d in enumerate(sizes)]
        return np.asarray(values[tuple(index)].reshape(-1, values.shape[-1]))


@dataclass(frozen=True)
class Probe:
    """Where the answers of a layer stand: axis `axis` of the value `value`."""

    value: str
    axis: int


def probe_of(document: Document, layer: Layer, nodes: Mapping[str, Node]) -> Probe | str:
    """The output of a layer's node, or why it cannot be read."""
    node = nodes.get(layer.node)
    if node is None:
        return "it lies inside a subgraph or a local function"
    axis = _AXIS.get(node.op_type)
    if axis is None or not node.outputs or not node.outputs[0]:
        return f"the outputs of {node.op_type} are no filters' answers"
    left = node.op_type == "MatMul" and document.producer_of(node.inputs[0]) is None
    if left and node.inputs[0] in document.weights:
        axis = -2
    return Probe(node.outputs[0], axis)


def points_for(samples: int, channels: int) -> int:
    """Points so that `channels` values at each of them stay within `KEPT_BYTES`."""
    return int(min(POINTS, max(FEWEST, KEPT_BYTES // (4 * max(channels, 1)))))


def activations(
    document: Document, probes: Sequence[Probe], dataset: Dataset, points: Points, *, provider: str = "auto"
) -> tuple[list[Singles | None], str, str]:
    """Answers (filters, points) float32 per probe, (filters, samples) for layers without places, None where
    they have no sample axis; provider and note.

    Runs the model in batches whose probed values stay within `RUN_BYTES`. Raises `CannotVerify` where it
    does not run.
    """
    names = list(dict.fromkeys(p.value for p in probes))
    if not names:
        return [], "", ""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_named(document))
        session = stack.enter_context(Session.open(with_outputs(document, names), provider=provider))
        batching, parts = _plan(dataset, session, names)
        found: list[list[np.ndarray] | None] = [[] for _ in probes]
        for batch in batching.batches():
            for some in parts:
                _collect(found, probes, batch.cut(session.run(batch.feeds, some)), batch, points)
        kept = [None if f is None else np.ascontiguousarray(np.concatenate(f).T) for f in found]
        return kept, session.provider, session.note


@contextlib.contextmanager
def _named(document: Document) -> Iterator[None]:
    """Errors name the file, not the copy of it that runs."""
    try:
        yield
    except CannotVerify as error:
        raise CannotVerify(
            error.what, file=document.origin, node=error.node, tensor=error.tensor, remedy=error.remedy
        ) from error


def _collect(
    found: list[list[np.ndarray] | None],
    probes: Sequence[Probe],
    values: Mapping[str, Any],
    batch: Batch,
    points: Points,
) -> None:
    for at, probe in enumerate(probes):
        held = found[at]
        if probe.value not in values or held is None:
            continue
        laid = _laid(np.asarray(values[probe.value]), probe.axis, batch.count)
        if laid is None:
            found[at] = None
        else:
            held.append(points.pick(laid, batch.start).astype(np.float32))


def _laid(value: np.ndarray, axis: int, samples: int) -> np.ndarray | None:
    """(samples, …places, channels); a first axis of samples and places together is taken apart."""
    if not -value.ndim <= axis < value.ndim or value.ndim < 2:
        return None
    moved = np.moveaxis(value, axis, -1)
    if moved.shape[0] == samples:
        return moved
    if moved.shape[0] % samples:
        return None
    return moved.reshape(samples, moved.shape[0] // samples, *moved.shape[1:])


def _plan(dataset: Dataset, session: Session, names: list[str]) -> tuple[Batching, list[list[str]]]:
    """Batches, and the values to ask for in each run of a batch."""
    one = working_batches(dataset, session, 1)
    first = one.batch(0)
    sizes = {k: int(np.asarray(v).nbytes) for k, v in session.run(first.feeds, names).items()}
    each = max(1, sum(sizes.values()) // max(first.size, 1))
    batching = working_batches(dataset, session, max(1, min(64, RUN_BYTES // each)))
    scale = batching.size / max(first.size, 1)
    parts: list[list[str]] = [[]]
    room = float(RUN_BYTES)
    for name in names:
        if parts[-1] and sizes[name] * scale > room:
            parts.append([])
            room = float(RUN_BYTES)
        parts[-1].append(name)
        room -= sizes[name] * scale
    return batching, parts
