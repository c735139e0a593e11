"""Stored tensors that several nodes read: what they must agree on before an axis may shrink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxdup.channels.tracer import Role, Tracer, Use
from onnxdup.graph import Node

if TYPE_CHECKING:
    from onnxdup.channels.groups import ChannelGroup


def is_vector(use: Use) -> bool:
    """Small per-channel parameters are cloned per node rather than uniting the layers that share them.

    Not so quantised ones: they stay behind their DequantizeLinear; nor those that bodies read as well, where
    no copy can be put.
    """
    if use.constant.quantised is not None or use.constant.pinned or use.role is Role.CONSUMER:
        return False
    return is_small(use)


def is_small(use: Use) -> bool:
    """Has the parameter at most one axis?"""
    return use.role is not Role.CONSUMER and sum(d > 1 for d in use.constant.shape) <= 1


def shared(t: Tracer) -> list[list[Use]]:
    """Uses of the same stored axis, united; a weight used in two ways is frozen."""
    by_axis: dict[tuple[str, object], list[Use]] = {}
    for use in t.uses:
        by_axis.setdefault(binding_key(use), []).append(use)
    for uses in by_axis.values():
        first = uses[0]
        for use in uses[1:]:
            if use.role is first.role and len(use.ids) == len(first.ids):
                t.unite(first.ids, use.ids)
                _freeze_mixed(t, first, use)
                _freeze_scaled(t, first, use)
            else:
                for u in (first, use):
                    _contest(t, u, "a weight is shared in two roles", u.node)
    _unknown_readers(t)
    return list(by_axis.values())


def _freeze_scaled(t: Tracer, first: Use, use: Use) -> None:
    """Integers that two readers scale differently have no common sum."""
    a, b = first.constant.quantised, use.constant.quantised
    if a is b or (a is not None and b is not None and a.zero == b.zero and a.axis == b.axis):
        return
    for u in (first, use):
        _contest(t, u, f"{u.constant.root} is shared by readers with different zero points", u.node)


def _freeze_mixed(t: Tracer, first: Use, use: Use) -> None:
    if ((first.ids > 0) != (use.ids > 0)).any():
        for u in (first, use):
            _contest(t, u, "a weight is shared with a layer whose channels are fixed", use.node)


def _contest(t: Tracer, use: Use, reason: str, node: Node) -> None:
    """Readers of one stored tensor disagree about an axis."""
    t.contested.add(use.constant.root)
    t.freeze(use.ids, reason, node)


def _unknown_readers(t: Tracer) -> None:
    """A stored axis may shrink only where every reader of the tensor has bound it."""
    bound: dict[tuple[str, int], set[object]] = {}
    for use in t.uses:
        if not is_vector(use):  # the reader of a vector gets a copy, so it needs the original as it is
            bound.setdefault((use.constant.name, use.node.index), set()).add(stored_axis(use))
    outputs = {v.name for v in t.document.outputs}
    for use in t.uses:
        if is_vector(use):
            continue
        names = [use.constant.root, *(n.outputs[0] for n in use.constant.chain)]
        inner = {n.index for n in use.constant.chain}
        for name in names:
            for node, slot in t.document.consumers_of(name):
                places = t.inner_readers.get((node.index, name), [(name, node.index)])
                mine = all(stored_axis(use) in bound.get(place, set()) for place in places)
                if node.index not in inner and not mine:
                    where = f"by {node.op_type}" if slot >= 0 else f"inside a subgraph of {node.op_type}"
                    _contest(t, use, f"a weight is also read {where}", node)
            if name in outputs:
                _contest(t, use, "a weight is also an output of the model", use.node)


def stored_axis(use: Use) -> int | None:
    """Axis of the stored tensor, None where an edit folds the chain."""
    axes = use.constant.axes
    return None if axes is None else axes[use.axis]


def stored_block(use: Use) -> tuple[int, int] | None:
    """The slice of the stored tensor that is meant, None for all of it."""
    if use.block is None or use.constant.axes is None:
        return use.block
    axis = use.constant.axes[use.block[0]]
    return None if axis is None else (axis, use.block[1])


def binding_key(use: Use) -> tuple[str, object]:
    """Uses with one key share one stored axis."""
    axis = stored_axis(use)
    name = use.constant.name if axis is None else use.constant.root
    place = use.axis if axis is None else axis
    return (name, (place, use.node.index, use.slot)) if is_vector(use) else (name, (place, stored_block(use)))


def at_odds(t: Tracer, groups: Sequence[ChannelGroup]) -> frozenset[str]:
    """Roots of small parameters that hold a group because a body reads them: layers of the main graph can
    have copies instead.
    """
    frozen = [b for g in groups if g.frozen is not None for b in g.bindings]
    uses = [u for b in frozen for u in b.uses if u.constant.pinned and not u.node.inside]
    return frozenset(u.constant.root for u in uses if is_small(u))
