"""What subgraphs and local functions do with values and weights of the main graph.

Their nodes are followed like any others, as if they stood where their owner stands: both branches of an If,
every turn of a Loop. Only the main graph is edited, so a weight stored inside, a size repeated inside and a
value that is handed back hold their channels; nothing there absorbs a constant. A weight of the main graph
may lose a channel where every reader inside agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.constants import Constant, Constants
from onnxdup.channels.order import in_order
from onnxdup.channels.rules import RESIZE, key
from onnxdup.channels.tracer import Freeze, Tracer
from onnxdup.channels.visit import SHAPE_ONLY, freeze_captured, is_plain, stop, visit
from onnxdup.errors import InputError
from onnxdup.graph import Body, Document, Node, Unfolded, inner_shapes

Bodies: TypeAlias = Mapping[str, Sequence[Body]]
UNBOUND = -1


def bodies_of(document: Document) -> Bodies:
    """The bodies that nodes of the main graph hold directly, by node."""
    found: dict[str, list[Body]] = {}
    for body in document.bodies if document.seen_inside else ():
        if body.outer is document:
            found.setdefault(body.owner, []).append(body)
    return found


def follow(t: Tracer, node: Node, bodies: Sequence[Body]) -> None:
    """Follow the bodies of a node; where that cannot be done, freeze what they read."""
    for body in bodies:
        try:
            _follow(t, node, body)
        except (*MALFORMED, InputError):
            _give_up(t, node, body)
    if not bodies:
        freeze_captured(t, node)


def _give_up(t: Tracer, node: Node, body: Body) -> None:
    for name in body.names.values():
        t.freeze(t.ids(name), "read inside a subgraph", node)
        t.inner_readers.setdefault((node.index, name), []).append((name, UNBOUND))


def _follow(t: Tracer, node: Node, body: Body) -> None:
    if body.foreign:
        return _give_up(t, node, body)
    inside = Unfolded(body, t.next_inner)
    t.next_inner += len(inside.nodes)
    nodes = in_order(inside)
    shapes = inner_shapes(inside, t.shapes)
    for name in inside.names:
        if name in t.shapes:
            shapes[name] = t.shapes[name]
    inner = t.inner(inside, shapes, Constants(inside, shapes, _seen(t, inside), inside=True))
    for reader in nodes:
        inner.at = reader
        for name in dict.fromkeys((*reader.inputs, *reader.captured)):
            if name in inside.names:
                place = reader.index if name not in reader.captured else UNBOUND
                t.inner_readers.setdefault((node.index, name), []).append((name, place))
        _visit(inner, inside, reader)
    for name in inside.returned:
        what = "local function" if body.function else "subgraph"
        inner.freeze(inner.ids(name), f"handed back by a {what}", None)
        if name in inside.names:
            t.inner_readers.setdefault((node.index, name), []).append((name, UNBOUND))
    t.take_back(inner, [Freeze(f"{f.reason}, inside {body.place}", node.name) for _, f in inner.frozen])
    return None


def _seen(t: Tracer, inside: Unfolded) -> dict[str, Constant | None]:
    """Constants of the main graph as the body sees them."""
    return {name: _editable(t, t.constants.get(name)) for name in inside.names}


def _editable(t: Tracer, held: Constant | None) -> Constant | None:
    if held is None or held.problem:
        return held
    if held.axes is None:
        return replace(held, problem="the graph computes it, and a subgraph reads it")
    if held.root in t.constants.loose:
        return replace(held, problem="a subgraph and the main graph need it at different lengths")
    return held


def _visit(t: Tracer, inside: Unfolded, node: Node) -> None:
    freeze_captured(t, node)
    reason = _beyond(t, node)
    if reason:
        return stop(t, node, reason)
    visit(t, node)
    for name in node.outputs:
        if t.carries(name) and name in inside.declared:
            t.freeze(t.ids(name), "its shape is declared", node)
    return None


def _beyond(t: Tracer, node: Node) -> str | None:
    """Why a node inside a body is not followed: it would have to be edited, or several values leave it."""
    if any(node.outputs[1:]):
        return f"{node.op_type} has several outputs"
    if key(node) in SHAPE_ONLY and any(t.carries(x) for x in node.inputs):
        return "its channel count is read"
    if key(node) in RESIZE and not is_plain(node) and t.constants.get(node.outputs[0]) is None:
        return f"{node.op_type} would have to be edited"
    return None
