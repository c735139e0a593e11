"""The entry point: a document in, its channel groups and layers out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import product
from typing import Any

import numpy as np

from onnxdup.channels import sizes
from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.constants import REPLACEABLE, Constants
from onnxdup.channels.flow import Reader
from onnxdup.channels.groups import ChannelGroup, Partition, build_groups
from onnxdup.channels.ids import Shape
from onnxdup.channels.inner import with_inner
from onnxdup.channels.layers import Layer, layers_of
from onnxdup.channels.rules import RULES, key
from onnxdup.channels.settle import settled
from onnxdup.channels.tracer import Decline, Tracer
from onnxdup.errors import InputError, OnnxdupError
from onnxdup.graph import Document, Node, Value
from onnxdup.runtime import observed_shapes

LARGEST_AXIS = 1 << 24
"""Longer axes than this are no channels; shapes that have one are not believed."""
LARGEST_FEED = 1 << 28
"""Bytes of made-up inputs; a model that needs more is not run to see its shapes."""
BATCH = 2
LENGTHS = (64, 16, 224, 320, 1, 256, 128, 32, 640, 416)
SHAPE_ONLY = frozenset({"Shape", "Size"})
OLDEST = 7
"""Before opset 7 arithmetic broadcast along an attribute, and Dropout and BatchNormalization could train."""


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
    for value in document.outputs:
        if t.carries(value.name):
            t.freeze(t.ids(value.name), "output of the model", document.producer_of(value.name))
    sizes.outputs(t)
    built, partition = build_groups(t)
    groups = settled(t, partition, built)
    layers = with_inner(t, layers_of(t, partition, groups))
    return Trace(document, groups, layers, t.shapes, partition, t)


def _walk(document: Document, shapes: Mapping[str, Shape]) -> Tracer:
    t = Tracer(document, shapes, Constants(document, shapes), document.shapes())
    for node in in_order(document):
        t.at = node
        with _tolerated(t, node):
            sizes.follow(t, node)
        _visit(t, node)
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
        _stop(t, node, _malformed(node, error))


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


def in_order(document: Document) -> list[Node]:
    """Nodes in dependency order; sorted graphs stay as they are. InputError for a cycle."""
    nodes = document.nodes
    made = {o: n.index for n in nodes for o in n.outputs if o}
    needs = [{made[x] for x in (*n.inputs, *n.captured) if x in made} for n in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for node, needed in zip(nodes, needs, strict=True):
        for k in needed:
            readers[k].append(node.index)
    missing = [len(needed) for needed in needs]
    ready = [k for k, count in enumerate(missing) if not count]  # ascending, hence a heap
    out = []
    while ready:
        k = heappop(ready)
        out.append(nodes[k])
        for r in readers[k]:
            missing[r] -= 1
            if not missing[r]:
                heappush(ready, r)
    if len(out) < len(nodes):
        stuck = next(n for n, count in zip(nodes, missing, strict=True) if count)
        raise InputError("the graph is cyclic", file=document.path, node=stuck.name)
    return out


def _visit(t: Tracer, node: Node) -> None:
    for name in node.captured:
        t.freeze(t.ids(name), "read inside a subgraph", node)
    operator = RULES.get(key(node))
    if operator is None:
        return _stop(t, node, f"no rule for {key(node)}")
    if t.constants.get(node.outputs[0]) is not None if node.outputs else False:
        return None
    if t.document.opset() < OLDEST:
        return _stop(t, node, "an operator set before 7, or none named: its operators broadcast differently")
    mark = (len(t.steps), len(t.sinks), len(t.frozen))
    try:
        operator.rule(t, node)
    except Decline as why:
        return _stop(t, node, str(why))
    except MALFORMED as error:
        t.forget(node)
        return _stop(t, node, _malformed(node, error))
    _unfollowed(t, node, mark)
    _replaceable(t, node)
    return _more_outputs(t, node, mark)


def _malformed(node: Node, error: BaseException) -> str:
    said = " ".join(str(error).split())[:120] or type(error).__name__
    return f"{node.op_type} is not as its specification says ({said})"


def _stop(t: Tracer, node: Node, reason: str) -> None:
    t.declined.append((node, reason))
    for name in node.inputs:
        if name:
            t.freeze(t.ids(name), reason, node)
    for name in node.outputs:
        if t.carries(name):
            t.freeze(t.ids(name), reason, node)
        t.values.pop(name, None)


def _unfollowed(t: Tracer, node: Node, mark: tuple[int, int, int]) -> None:
    """A rule that neither passes, reads nor freezes an input would lose its channels: freeze them then."""
    if key(node) in SHAPE_ONLY:
        return
    steps, sinks, frozen = mark
    followed = {x for s in t.steps[steps:] for x in s.inputs} | {s.input for s in t.sinks[sinks:]}
    followed |= {x for r in t.recurrences if r.node is node for x in r.inputs}
    held = np.concatenate([np.zeros(1, np.int64), *(ids for ids, _ in t.frozen[frozen:])])
    for name in node.inputs:
        if t.carries(name) and name not in followed and not np.isin(t.ids(name), held).all():
            t.freeze(t.ids(name), f"{node.op_type} is not followed here", node)


def _replaceable(t: Tracer, node: Node) -> None:
    """Bounds, factors and sizes that callers may change: what was proven with the stored value is void."""
    names = [x for x in node.inputs if (c := t.constants.get(x)) is not None and c.replaceable]
    for name in (*node.inputs, *node.outputs) if names else ():
        if t.carries(name):
            t.freeze(t.ids(name), f"an operand cannot be edited: {REPLACEABLE}", node)


def _more_outputs(t: Tracer, node: Node, mark: tuple[int, int, int]) -> None:
    """Masks, positions and statistics of channels are channels too: where they are read all must stay."""
    if key(node) == "Split" or len(t.steps) == mark[0]:
        return
    listed = {v.name for v in t.document.outputs}
    for name in node.outputs[1:]:
        if name and not t.carries(name) and (name in listed or t.document.consumers_of(name)):
            for x in node.inputs:
                t.freeze(t.ids(x), f"another output of {node.op_type} is read", node)
