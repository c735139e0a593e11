"""Who fills the input axis of a weight: the model's input, other channel groups, or nobody that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxdup.channels import Trace
from onnxdup.channels.ids import Shape
from onnxdup.channels.tracer import Sink, Source
from onnxdup.merging.moments.feed import COLOUR, FEATURE, IMAGE, LARGEST_COVARIANCE, Feed, Part
from onnxdup.merging.plan import Array, Index

TRUST = 0.5
MOVES = frozenset({"Flatten", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Cast", "Dropout"})


@dataclass(frozen=True)
class Known:
    """Mean (channels,) or None, and covariance (channels, channels) or None, of the channels of a value."""

    mean: Array | None
    covariance: Array | None
    space: float | None = None


Ask = Callable[[int, str], Known | None]
"""(number of a group, name of a value) → what is known of the group's channels there."""


class Feeds:
    """The feeds of all sources of a trace. `stored` are measured moments by the name of the value."""

    def __init__(self, trace: Trace, ask: Ask, stored: Mapping[str, Known]) -> None:
        self.trace, self.ask, self.stored = trace, ask, stored
        self.sinks: dict[str, list[tuple[int, Sink]]] = {}
        for group in trace.groups:
            for sink in group.sinks:
                if sink.use is not None:
                    self.sinks.setdefault(sink.node.name, []).append((group.number, sink))

    def of(self, source: Source) -> Feed | None:
        """What the weight of a source reads; None where its rows are not (axis, taps)."""
        weight = source.use.constant.shape
        rest = math.prod(weight) // max(weight[source.use.axis], 1)
        taps = weight[2:] if len(weight) > 2 and "Conv" in source.node.op_type else ()
        axis = rest // max(math.prod(taps), 1)
        if axis * math.prod(taps) != rest or source.blocks > 1:
            return None
        image = reads_image(self.trace, read_by(source))
        if image is not None:
            return self._image(source, image, axis, taps)
        parts = self._parts(source, axis)
        guessed = self._is_input(source) and self._held(source) is None
        copies = parts[0].index.shape[1]
        if (taps and copies > 1) or len({p.index.shape[1] for p in parts}) > 1:
            parts, copies = [_nobody(axis)], 1
        held = self._held(source)
        space = held.space if held is not None and held.space is not None else FEATURE
        grid = taps or _square(copies)
        return Feed(tuple(parts), math.prod(taps), grid, space, _strides(source), guessed)

    def _image(self, source: Source, image: Shape, axis: int, taps: Shape) -> Feed:
        """Pixels: standardised where nothing was measured, so that their mean counts as 0."""
        colours = image[0]
        covariance = (1 - COLOUR) * np.eye(colours) + COLOUR
        known = self._held(source)
        mean, space, guessed = np.zeros(colours), IMAGE, True
        if known is not None and known.mean is not None and len(known.mean) == colours:
            mean, guessed = known.mean, False
            covariance = covariance if known.covariance is None else known.covariance
            space = IMAGE if known.space is None else known.space
        strides = _strides(source)
        if not taps and axis == math.prod(image):
            index = np.arange(axis).reshape(colours, -1)
            return Feed((Part(index, mean, covariance),), 1, image[1:], space, (1,), guessed)
        if axis != colours:
            return Feed((_nobody(axis),), math.prod(taps), taps or (1,), FEATURE, strides)
        part = Part(np.arange(axis)[:, None], mean, covariance)
        return Feed((part,), math.prod(taps), taps or (1,), space, strides, guessed)

    def _parts(self, source: Source, axis: int) -> list[Part]:
        stored = self._held(source)
        if stored is not None and stored.mean is not None and axis % len(stored.mean) == 0:
            index = np.arange(axis).reshape(len(stored.mean), -1)
            return [Part(index, stored.mean, stored.covariance)]
        taken = np.zeros(axis, bool)
        parts = []
        for number, sink in self.sinks.get(source.node.name, []):
            place = self.trace.partition.positions(sink.ids, number)
            if place is None or len(sink.ids) != axis or taken[place].any():
                continue
            known = self.ask(number, sink.input)
            if known is None:
                continue
            taken[place.ravel()] = True
            parts.append(Part(np.asarray(place, np.int64), known.mean, _trusted(known.covariance)))
        if not parts or not taken.all():
            return [_nobody(axis, self._is_input(source))]
        return parts

    def _held(self, source: Source) -> Known | None:
        name = read_by(source)
        return self.stored.get(name) or self.stored.get(origin_of(self.trace, name))

    def _is_input(self, source: Source) -> bool:
        return origin_of(self.trace, read_by(source)) in {v.name for v in self.trace.document.inputs}


def _trusted(covariance: Array | None) -> Array | None:
    """A derived covariance, half of it: the other half white. Derived ones are right in the mean only."""
    if covariance is None or covariance.size > LARGEST_COVARIANCE:
        return None
    white = np.eye(len(covariance)) * (float(np.trace(covariance)) / len(covariance))
    return np.asarray(TRUST * covariance + (1 - TRUST) * white)


def _nobody(axis: int, standard: bool = False) -> Part:
    index: Index = np.arange(axis)[:, None]
    return Part(index, np.zeros(axis) if standard else None, None)


def read_by(source: Source) -> str:
    """The activation that the weight multiplies."""
    names = [x for k, x in enumerate(source.node.inputs) if k != source.use.slot and x]
    return names[0] if names else ""


def origin_of(trace: Trace, name: str) -> str:
    """The value that `name` is a moved copy of."""
    while (node := trace.document.producer_of(name)) is not None and node.op_type in MOVES:
        name = node.inputs[0]
    return name


def reads_image(trace: Trace, name: str) -> Shape | None:
    """(channels, height, width) where a value is the model's image input, moved but not changed."""
    origin = origin_of(trace, name)
    if origin not in {v.name for v in trace.document.inputs}:
        return None
    shape = trace.shapes.get(origin, ())
    return shape[1:] if len(shape) == 4 and shape[1] <= 4 and min(shape[2:]) > 1 else None


def _square(copies: int) -> Shape:
    side = math.isqrt(copies)
    return (side, side) if side * side == copies else (copies,)


def _strides(source: Source) -> tuple[int, ...]:
    return tuple(int(s) for s in source.node.attrs.get("strides", ())) or (1,)


__all__ = ["Feeds", "Known", "origin_of", "read_by", "reads_image"]
