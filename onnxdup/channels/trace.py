"""The entry point: a document in, its channel groups and layers out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from onnxdup.channels import sizes
from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.captures import bodies_of, follow
from onnxdup.channels.constants import Constants
from onnxdup.channels.flow import Reader
from onnxdup.channels.groups import ChannelGroup, Partition, build_groups
from onnxdup.channels.ids import Shape
from onnxdup.channels.inner import with_inner
from onnxdup.channels.layers import Layer, layers_of
from onnxdup.channels.order import in_order
from onnxdup.channels.settle import settled
from onnxdup.channels.sharing import at_odds
from onnxdup.channels.tracer import Tracer
from onnxdup.channels.visit import malformed, stop, visit
from onnxdup.errors import OnnxdupError
from onnxdup.graph import Document, Node, Value
from onnxdup.runtime import observed_shapes

LARGEST_AXIS = 1 << 24
"""Longer axes than this are no channels; shapes that have one are not believed."""
LARGEST_FEED = 1 << 28
"""Bytes of made-up inputs; a model that needs more is not run to see its shapes."""
BATCH = 2
LENGTHS = (64, 16, 224, 320, 1, 256, 128, 32, 640, 416)


@dataclass(frozen=True)
class Trace:
    """Channel groups, layers and concrete shapes of a document."""

    document: Document
    groups: tuple[ChannelGroup, ...]
    layers: tuple[Layer, ...]
    shapes: Mapping[str, Shape]
    partition: Partition = field(repr=False)
    tracer: Tracer = field(repr=False)

    def group(self, name: str) -> ChannelGroup:
        """The group of that name. KeyError where there is none."""
        return next(g for g in self.groups if g.name == name)

    def reader(self, group: ChannelGroup) -> Reader:
        """Parameters of a group, channel by channel."""
        return Reader(group, self.partition)


def concrete_inputs(
    inputs: Sequence[Value], length: int = LENGTHS[0], batch: int = BATCH
) -> dict[str, Shape]:
    """A stand-in length for every dimension that callers may choose: `batch` for the first axis, `length`
    elsewhere.
    """
    out = {}
    for value in inputs:
        if value.shape is not None:
            out[value.name] = tuple(
                d if isinstance(d, int) and d > 0 else (batch if k == 0 else length)
                for k, d in enumerate(value.shape)
            )
    return out


def known_shapes(document: Document, input_shapes: Mapping[str, Shape] | None = None) -> dict[str, Shape]:
    """Fully known shapes after inference with concrete inputs."""
    inputs = {**concrete_inputs(document.inputs), **(input_shapes or {})}
    inferred = document.shapes(inputs)
    known = {name: tuple(d for d in s if d is not None) for name, s in inferred.items()}
    return {
        name: s
        for name, s in known.items()
        if len(s) == len(inferred[name]) and max(s, default=0) <= LARGEST_AXIS
    }


def trace(
    document: Document,
    *,
    input_shapes: Mapping[str, Shape] | None = None,
    shapes: Mapping[str, Shape] | None = None,
) -> Trace:
    """Follow every channel of a model.

    `input_shapes` fixes dynamic inputs, `shapes` are shapes observed by running the model, where inference
    fails. Operators without a rule freeze their channels; nothing is ever assumed.
    """
    chosen = {v.name: shapes[v.name] for v in document.inputs if v.name in shapes} if shapes else {}
    concrete = {**known_shapes(document, {**(input_shapes or {}), **chosen}), **(shapes or {})}
    t = _walk(document, concrete)
    unknown = any("is not known" in why or "cannot reshape" in why for _, why in t.declined)
    if shapes is None and unknown and (observed := observe(document, input_shapes)):
        t = _walk(document, observed)
    found = _grouped(t)
    loose = at_odds(found.tracer, found.groups)
    return _grouped(_walk(document, t.shapes, loose)) if loose else found


def _grouped(t: Tracer) -> Trace:
    """Groups and layers after a walk."""
    for value in t.document.outputs:
        if t.carries(value.name):
            t.freeze(t.ids(value.name), "output of the model", t.document.producer_of(value.name))
    sizes.outputs(t)
    built, partition = build_groups(t)
    groups = settled(t, partition, built)
    layers = with_inner(t, layers_of(t, partition, groups), groups)
    return Trace(t.document, groups, layers, t.shapes, partition, t)


def _walk(document: Document, shapes: Mapping[str, Shape], loose: frozenset[str] = frozenset()) -> Tracer:
    t = Tracer(document, shapes, Constants(document, shapes, loose=loose), document.shapes())
    bodies = bodies_of(document)
    for node in in_order(document):
        t.at = node
        with _tolerated(t, node):
            sizes.follow(t, node)
        follow(t, node, bodies.get(node.name, ()))
        if node.op_type not in document.functions or node.name not in bodies:
            visit(t, node)
        with _tolerated(t, node):
            sizes.settle(t, node)
    return t


@contextmanager
def _tolerated(t: Tracer, node: Node) -> Iterator[None]:
    """Whatever a malformed node touches is frozen."""
    try:
        yield
    except MALFORMED as error:
        sizes.hold(t, node)
        stop(t, node, malformed(node, error))


def observe(document: Document, input_shapes: Mapping[str, Shape] | None) -> dict[str, Shape]:
    """Shapes seen by running the model once on zeros, for graphs that inference cannot follow; {} where it
    will not run.
    """
    candidates: list[dict[str, np.ndarray[Any, Any]]] = []
    for length, batch in product(LENGTHS, (BATCH, 1)):
        chosen = {**concrete_inputs(document.inputs, length, batch), **(input_shapes or {})}
        if any(v.dtype is None or v.name not in chosen for v in document.inputs):
            return {}
        needed = sum(math.prod(chosen[v.name]) * v.dtype.itemsize for v in document.inputs if v.dtype)
        if needed <= LARGEST_FEED and not any(_shapes_of(c) == chosen for c in candidates):
            candidates.append({v.name: np.zeros(chosen[v.name], v.dtype) for v in document.inputs})
    try:
        return observed_shapes(document, *candidates) if candidates else {}
    except OnnxdupError:
        return {}


def _shapes_of(feeds: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Shape]:
    return {name: array.shape for name, array in feeds.items()}
