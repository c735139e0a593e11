"""Layers inside subgraphs and local functions: reported beside those of the main graph, never merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.constants import Constant, Constants
from onnxdup.channels.groups import ChannelGroup
from onnxdup.channels.layers import Layer, plain_layer, weights_of
from onnxdup.channels.tracer import Tracer
from onnxdup.graph import Body

OUTSIDE = "\0"
"""Marks names that are full already: no value of a graph has it."""


def with_inner(t: Tracer, layers: Iterable[Layer], groups: Sequence[ChannelGroup]) -> tuple[Layer, ...]:
    """The layers of the main graph, each followed by those of bodies of the same node.

    What several nodes make of one stored weight in the same way appears once.
    """
    listed: dict[str, list[Layer]] = {}
    for layer in layers:
        listed.setdefault(layer.tensor, []).append(layer)
    order = {n.name: n.index for n in t.document.nodes}
    found = [(order[layer.node], layer) for layer in layers]
    for at, layer in (_in_groups(t, layer, groups, at) for at, layer in _inner(t, order)):
        held = listed.setdefault(layer.tensor, [])
        if not any(np.array_equal(layer.rows(), other.rows()) for other in held):
            held.append(layer)
            found.append((at, layer))
    return tuple(layer for _, layer in sorted(found, key=lambda item: item[0]))


def _in_groups(t: Tracer, layer: Layer, groups: Sequence[ChannelGroup], at: int) -> tuple[int, Layer]:
    """A layer whose weight lies in the main graph belongs to the groups that its rows make there."""
    if layer.tensor not in t.document.weights:
        return at, layer
    made = [g for g in groups if any(b.tensor == layer.tensor for b in g.producers) and g.frozen is None]
    return at, replace(layer, groups=tuple(g.name for g in made), reason=None) if made else layer


def _inner(t: Tracer, order: dict[str, int]) -> Iterator[tuple[int, Layer]]:
    """(place of the owner, layer) for every layer with constant weights inside a body."""
    scopes = {id(t.document): t.constants}
    for body in t.document.bodies:
        constants = scopes[id(body)] = _seen_from(body, scopes[id(body.outer)])
        inner = Tracer(body, {}, constants)
        for node in body.nodes:
            with suppress(*MALFORMED):  # then it has no filters that could be told
                for weight, axis in weights_of(inner, node):
                    layer = plain_layer(node, weight, axis, _reason(body))
                    place = f"{body.place}/{node.name}"
                    yield order[body.owner], replace(layer, node=place, tensor=_full(body, weight.root))


def _seen_from(body: Body, outside: Constants) -> Constants:
    """Constants of a body, with those that it reads from around it."""
    known: dict[str, Constant | None] = {}
    for name, given in body.names.items():
        held = outside.get(given)
        if held is not None:
            outer = outside.document
            root = _full(outer, held.root) if isinstance(outer, Body) else held.root
            known[name] = replace(held, root=OUTSIDE + root)
    return Constants(body, {}, known)


def _full(body: Body, root: str) -> str:
    return root.removeprefix(OUTSIDE) if root.startswith(OUTSIDE) else body.full_name(root)


def _reason(body: Body) -> str:
    where = f"the local function {body.function}" if body.function else f"a subgraph of node {body.owner}"
    return f"inside {where}: not merged"
