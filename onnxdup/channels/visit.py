"""One node of the walk: its rule, and what happens where there is none or it declines."""

from __future__ import annotations

import numpy as np

from onnxdup.channels.bounds import MALFORMED
from onnxdup.channels.constants import REPLACEABLE
from onnxdup.channels.rules import RESIZE, RULES, key
from onnxdup.channels.rules.legacy import OLDEST, check_old
from onnxdup.channels.tracer import UNKNOWN, Decline, Tracer
from onnxdup.graph import Node

SHAPE_ONLY = frozenset({"Shape", "Size"})


def freeze_captured(t: Tracer, node: Node) -> None:
    """Values that subgraphs read stay as they are."""
    for name in node.captured:
        t.freeze(t.ids(name), "read inside a subgraph", node)


def visit(t: Tracer, node: Node) -> None:
    """Give the outputs of a node their channels, or freeze those of its inputs with the reason."""
    operator = RULES.get(key(node))
    if operator is None:
        return stop(t, node, f"no rule for {key(node)}")
    if t.constants.get(node.outputs[0]) is not None if node.outputs else False:
        return None
    mark = (len(t.steps), len(t.sinks), len(t.frozen))
    try:
        if t.document.opset() < OLDEST:
            check_old(t, node)
        operator.rule(t, node)
    except Decline as why:
        return stop(t, node, str(why))
    except MALFORMED as error:
        t.forget(node)
        return stop(t, node, malformed(node, error))
    _sized(t, node)
    _unfollowed(t, node, mark)
    _replaceable(t, node)
    return _more_outputs(t, node, mark)


def _sized(t: Tracer, node: Node) -> None:
    """Sizes that a node repeats follow a merge only where its shapes are known."""
    if key(node) in RESIZE and not is_plain(node):
        for name in (*node.inputs, *node.outputs):
            if t.carries(name) and name not in t.shapes:
                t.freeze(t.ids(name), UNKNOWN, node)


def is_plain(node: Node) -> bool:
    """A convolution without groups repeats no count."""
    return key(node) in ("Conv", "ConvTranspose") and int(node.attrs.get("group", 1)) == 1


def malformed(node: Node, error: BaseException) -> str:
    """The reason for a node that a valid file could not have."""
    said = " ".join(str(error).split())[:120] or type(error).__name__
    return f"{node.op_type} is not as its specification says ({said})"


def stop(t: Tracer, node: Node, reason: str) -> None:
    """Channels that reach the node stay as they are."""
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
