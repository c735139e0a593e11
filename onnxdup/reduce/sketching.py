"""Measuring the moment sketch of a model on data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Trace, trace
from onnxdup.channels.ids import varying
from onnxdup.graph import Document
from onnxdup.graph.expose import with_outputs
from onnxdup.merging.moments.feeds import Known, origin_of, read_by
from onnxdup.merging.moments.sketch import KEY, Sums, sketch_text
from onnxdup.merging.plan import Array
from onnxdup.reduce.calibrating import batches, seen
from onnxdup.runtime import Session

if TYPE_CHECKING:
    from onnxdup.evaluation.data import Dataset

ROWS = 8192
"""Positions of one batch that a value is looked at."""
WIDEST = 4096
"""Values of more channels are left out: their covariance would not fit."""
Say = Callable[[str], None]


def sketched(document: Document, data: Dataset, *, provider: str = "cpu", say: Say | None = None) -> Document:
    """The same model with the moments of what its weights read in the metadata.

    Raises CannotVerify where the model does not run on the data.
    """
    known = measured_values(trace(document), data, provider=provider, say=say)
    editor = document.edit()
    editor.set_metadata({KEY: sketch_text(known)})
    return editor.finish()


def measured_values(
    traced: Trace,
    data: Dataset,
    groups: Sequence[ChannelGroup] | None = None,
    *,
    provider: str = "cpu",
    say: Say | None = None,
) -> dict[str, Known]:
    """Mean, covariance and likeness of neighbours of every value that a weight of the groups (None: any)
    reads.
    """
    axes = dict(_values(traced, traced.groups if groups is None else groups))
    if not axes:
        return {}
    sums: dict[str, Sums] = {}
    inputs = {v.name for v in traced.document.inputs}
    inner = [name for name in axes if name not in inputs]
    with Session.open(with_outputs(traced.document, inner), provider=provider) as session:
        for number, batch in enumerate(batches(data, session)):
            if say is not None:
                say(f"batch {number + 1}")
            values = seen(batch, {**batch.feeds, **(session.run(batch.feeds, inner) if inner else {})})
            for name, axis in axes.items():
                _add(sums, name, values[name], axis, np.random.default_rng(number))
    return {name: s.known() for name, s in sums.items() if s.count > 1}


def _values(traced: Trace, groups: Sequence[ChannelGroup]) -> Iterator[tuple[str, int]]:
    """(value, axis of its channels) of what the sources of groups read."""
    inputs = {v.name for v in traced.document.inputs}
    for source in (s for g in groups for s in g.sources):
        name = read_by(source)
        if not name:
            continue
        origin = origin_of(traced, name)
        if origin in inputs:
            shape = traced.shapes.get(origin, ())
            if len(shape) >= 2:
                yield origin, 1 if len(shape) == 4 else len(shape) - 1
            continue
        axes = varying(traced.tracer.ids(name))
        if len(axes) == 1:
            yield name, axes[0]


def _add(
    sums: dict[str, Sums], name: str, value: npt.NDArray[np.generic], axis: int, random: np.random.Generator
) -> None:
    if value.dtype.kind != "f" or value.ndim <= axis or value.shape[axis] > WIDEST:
        return
    channels = value.shape[axis]
    moved = np.moveaxis(value, axis, -1)
    rows = _some(moved.reshape(-1, channels), random)
    left = right = None
    if value.ndim == 4 and axis == 1 and value.shape[3] > 1:
        pairs = np.concatenate([moved[:, :, :-1], moved[:, :, 1:]], -1).reshape(-1, 2 * channels)
        both = _some(pairs, random)
        left, right = both[:, :channels], both[:, channels:]
    held = sums.setdefault(name, Sums.empty(channels))
    if np.isfinite(rows).all():
        held.add(rows, left, right)


def _some(rows: npt.NDArray[np.generic], random: np.random.Generator) -> Array:
    if len(rows) > ROWS:
        rows = rows[np.sort(random.choice(len(rows), ROWS, replace=False))]
    return rows.astype(np.float64)
