"""Data movement: the numpy operator, applied to ids, is the rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.channels.ids import Ids, Shape, compact, no_channel, reshape, to_rank, varying
from onnxdup.channels.rules.table import Resizer, resize, rule
from onnxdup.channels.tracer import Decline, Tracer
from onnxdup.channels.transfer import Agree, Same, Stack, Transfer
from onnxdup.graph import Node

MOVEMENT = "movement"
PASSES = "moves channels: any a, κ"


def move(t: Tracer, n: Node, ids: Ids, transfer: Transfer | None = None, output: int = 0) -> None:
    """The first output carries `ids` of input 0."""
    if output < len(n.outputs) and n.outputs[output] and ids.any():
        t.place(n.outputs[output], ids)
        t.step(n, [n.inputs[0]], transfer or Same(), n.outputs[output])


@rule("Identity", "Dropout", kind=MOVEMENT, passes=PASSES)
def identity(t: Tracer, n: Node) -> None:
    """Dropout does nothing at inference; its mask must not be read."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    if n.op_type == "Dropout" and (
        t.scalar(n, 2, 0.0) != 0.0 or any(t.document.consumers_of(o) for o in n.outputs[1:] if o)
    ):
        raise Decline("Dropout in training mode, or whose mask is read")
    move(t, n, t.ids(x))


_WIDE = (1, 11)  # float32, float64


@rule("Cast", "CastLike", kind=MOVEMENT, passes="to float32 or float64: any a, κ; otherwise copies")
def cast(t: Tracer, n: Node) -> None:
    """A rounding commutes with copies only."""
    x = n.inputs[0]
    if t.carries(x):
        wide = n.op_type == "Cast" and int(n.attrs.get("to", 0)) in _WIDE
        move(t, n, t.ids(x), Same() if wide else Agree())


@rule("Transpose", kind=MOVEMENT, passes=PASSES)
def transpose(t: Tracer, n: Node) -> None:
    """Axes change places."""
    if t.carries(n.inputs[0]):
        ids = t.ids(n.inputs[0])
        move(t, n, np.transpose(ids, n.attrs.get("perm", range(ids.ndim)[::-1])))


def _untangle(t: Tracer, ids: Ids) -> Ids:
    """A channel axis that a Reshape spreads over several: one of them stays the channel, the others are tied.

    Heads (batch, time, head, width) keep the first; shuffles (batch, groups, channels, …) keep the longest.
    """
    axes = varying(ids)
    if len(axes) < 2:
        return ids
    heads = ids.ndim <= 4 and axes[-1] == ids.ndim - 1
    stay = axes[0] if heads else max(axes, key=lambda k: (ids.shape[k], -k))
    for axis in axes:
        if axis != stay:
            ids = t.tie(ids, axis)
    return ids


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze", kind=MOVEMENT, passes=PASSES)
def reshaping(t: Tracer, n: Node) -> None:
    """Same elements, other axes; sizes written into the graph follow."""
    x, y = n.inputs[0], n.outputs[0]
    if not t.carries(x):
        return
    try:
        ids = reshape(t.ids(x), t.shape(x), t.shape(y))
    except ValueError as error:
        raise Decline(str(error)) from None
    move(t, n, _untangle(t, ids))


@resize("Reshape")
def _(r: Resizer, n: Node) -> None:
    sizes = [int(d) for d in n.attrs["shape"]] if "shape" in n.attrs else r.integers(n, 1)
    y = n.outputs[0]
    if sizes is None or not r.touched(y):
        return
    new = [r.count(y, k) if s is not None and s > 0 else s for k, s in enumerate(sizes)]
    if "shape" in n.attrs:
        r.set_attr(n, "shape", new)
    else:
        r.set_integers(n, 1, new)


@rule("Concat", kind=MOVEMENT, passes="moves channels; along another axis the same ⟨a, κ⟩ in all")
def concat(t: Tracer, n: Node) -> None:
    """Side by side; parts without channels stay."""
    if not any(t.carries(x) for x in n.inputs):
        return None
    rank = max(t.rank(x) for x in n.inputs)
    axis = int(n.attrs["axis"] if t.document.opset() >= 4 else n.attrs.get("axis", 1)) % rank
    ids = [t.ids(x) for x in n.inputs]
    axes = {k for z in ids for k in varying(z)} - {axis}
    if axes:
        return _stack(t, n, ids, axes)
    lengths = [t.length(x, axis) for x in n.inputs]
    wide = [
        np.broadcast_to(z, [d if k == axis else 1 for k in range(rank)])
        for z, d in zip(ids, lengths, strict=True)
    ]
    t.place(n.outputs[0], np.concatenate(wide, axis))
    return t.step(n, n.inputs, Stack())


def _stack(t: Tracer, n: Node, ids: list[Ids], axes: set[int]) -> None:
    """Concat over positions: the parts must carry the same channels on one axis."""
    from onnxdup.channels.rules.elementwise import unite_operands

    if len(axes) > 1:
        raise Decline("Concat of channels on different axes")
    channel = axes.pop()
    if any(z.shape[channel] == 1 for z in ids):
        raise Decline("Concat of channels with values that are not channels")
    united, _ = unite_operands(t, n, list(n.inputs))
    t.place(n.outputs[0], united)
    t.step(n, n.inputs, Stack())


@rule("Split", kind=MOVEMENT, passes=PASSES)
def split(t: Tracer, n: Node) -> None:
    """Pieces carry their channels."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    rank = len(t.shape(x))
    axis = int(n.attrs.get("axis", 0)) % rank
    ids = t.ids(x)
    if ids.shape[axis] == 1:
        pieces = [ids] * len(n.outputs)
    else:
        cuts = list(accumulate(t.shape(o)[axis] for o in n.outputs))[:-1]
        pieces = np.split(ids, cuts, axis)
    for k, piece in enumerate(pieces):
        move(t, n, piece, output=k)


@resize("Split")
def _(r: Resizer, n: Node) -> None:
    if not r.touched(n.inputs[0]):
        return
    axis = int(n.attrs.get("axis", 0)) % len(r.shape(n.inputs[0]))
    old = [r.shape(o)[axis] for o in n.outputs]
    new = [r.count(o, axis) for o in n.outputs]
    if new == old:
        return
    if "split" in n.attrs:
        r.set_attr(n, "split", new)
    elif len(n.inputs) > 1 and n.inputs[1]:
        r.set_integers(n, 1, new)
    elif len(set(new)) > 1:
        if r.opset() < 13:
            r.set_attr(n, "split", new)
        else:
            r.set_integers(n, 1, new)
            r.set_attr(n, "num_outputs", None)


Bounds = Sequence[npt.NDArray[np.generic]]


def _bounds(node: Node, rank: int, inputs: Bounds) -> list[tuple[int, int, int, int]]:
    """(axis, start, end, step) of a Slice."""
    if "starts" in node.attrs:
        starts, ends = node.attrs["starts"], node.attrs["ends"]
        axes = node.attrs.get("axes", range(len(starts)))
        steps: Sequence[int] = [1] * len(starts)
    else:
        lists = [[int(v) for v in np.ravel(b)] for b in inputs]
        starts, ends = lists[0], lists[1]
        axes = lists[2] if len(lists) > 2 and lists[2] else range(len(starts))
        steps = lists[3] if len(lists) > 3 else [1] * len(starts)
    return [
        (int(a) % rank, int(s), int(e), int(p)) for a, s, e, p in zip(axes, starts, ends, steps, strict=True)
    ]


def slices(node: Node, shape: Shape, inputs: Bounds) -> tuple[slice, ...]:
    """A Slice node as numpy slices."""
    out = [slice(None)] * len(shape)
    for axis, start, end, step in _bounds(node, len(shape), inputs):
        limit = shape[axis]
        stop: int | None = end
        if step < 0 and end < -limit:
            stop = None
        out[axis] = slice(start, stop, step)
    return tuple(out)


def _slice_inputs(t: Tracer, n: Node) -> list[Any]:
    arrays: list[npt.NDArray[np.generic]] = []
    for k in range(1, len(n.inputs)):
        if not n.inputs[k]:
            arrays.append(np.zeros(0, np.int64))
            continue
        array = t.constants.array(n.inputs[k])
        if array is None:
            raise Decline("Slice with computed bounds")
        arrays.append(array)
    return arrays


def _slice_axes(t: Tracer, n: Node, rank: int) -> set[int] | None:
    """Axes that a Slice may cut; None where they are computed."""
    if "starts" in n.attrs:
        return {int(a) % rank for a in n.attrs.get("axes", range(len(n.attrs["starts"])))}
    if len(n.inputs) > 3 and n.inputs[3]:
        axes = t.constants.array(n.inputs[3])
        return None if axes is None else {int(a) % rank for a in np.ravel(axes)}
    starts = t.shapes.get(n.inputs[1])
    return None if starts is None else set(range(starts[0]))


@rule("Slice", kind=MOVEMENT, passes=PASSES)
def slicing(t: Tracer, n: Node) -> None:
    """Constant bounds on the channel axis; any bounds elsewhere."""
    x = n.inputs[0]
    if not t.carries(x):
        return None
    ids, shape = t.ids(x), t.shape(x)
    if (axes := _slice_axes(t, n, len(shape))) is not None and not axes & set(varying(ids)):
        return move(t, n, ids)
    cut = slices(n, shape, _slice_inputs(t, n))
    own = tuple(s if ids.shape[k] > 1 else slice(None) for k, s in enumerate(cut))
    for k, s in enumerate(own):
        if ids.shape[k] > 1 and s.step not in (None, 1):
            raise Decline("Slice with a step over channels")
        if ids.shape[k] > 1 and s != slice(None):
            _uniform(ids, k, np.arange(shape[k])[s])
    return move(t, n, ids[own])


@resize("Slice")
def _(r: Resizer, n: Node) -> None:
    x = n.inputs[0]
    if not r.touched(x):
        return
    shape = r.shape(x)
    bounds = [r.integers(n, k) if n.inputs[k] else [] for k in range(1, len(n.inputs))]
    if any(b is None or None in b for b in bounds):
        return  # computed bounds are on other axes
    inputs = [np.asarray(b) for b in bounds]
    starts, ends = [], []
    for axis, start, end, step in _bounds(n, len(shape), inputs):
        kept = r.kept(x, axis)
        if kept.all() or step != 1:
            starts.append(start)
            ends.append(end)
            continue
        begin, stop, _ = slice(start, end).indices(shape[axis])
        starts.append(int(kept[:begin].sum()))
        ends.append(end if end >= shape[axis] else int(kept[: max(stop, begin)].sum()))
    if "starts" in n.attrs:
        r.set_attr(n, "starts", starts)
        r.set_attr(n, "ends", ends)
    else:
        r.set_integers(n, 1, starts)
        r.set_integers(n, 2, ends)


def _uniform(ids: Ids, axis: int, chosen: npt.NDArray[np.int64]) -> None:
    """Composite channels (several entries each) must be cut alike."""
    vector = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)[:, 0]
    order = np.argsort(vector, kind="stable")
    first = np.searchsorted(vector[order], vector[order], side="left")
    copy = np.empty(len(vector), np.int64)
    copy[order] = np.arange(len(vector)) - first
    patterns: dict[int, list[int]] = {}
    for channel, ordinal in zip(vector[chosen].tolist(), copy[chosen].tolist(), strict=True):
        patterns.setdefault(channel, []).append(ordinal)
    if copy[vector > 0].max(initial=0) > 0 and len({tuple(p) for c, p in patterns.items() if c}) > 1:
        raise Decline("the copies of a channel are taken apart")


def gather_activation(t: Tracer, n: Node) -> None:
    """Indices into an activation: constant over channels, anything elsewhere."""
    x = n.inputs[0]
    if not t.carries(x):
        if len(n.inputs) > 1 and t.carries(n.inputs[1]):
            raise Decline("Gather with channels as indices")
        return
    ids = t.ids(x)
    axis = int(n.attrs.get("axis", 0)) % ids.ndim
    index_rank = len(t.shape(n.inputs[1]))
    if ids.shape[axis] == 1:
        rest = list(ids.shape)
        move(t, n, ids.reshape([*rest[:axis], *([1] * index_rank), *rest[axis + 1 :]]))
        return
    indices = t.constants.array(n.inputs[1])
    if indices is None:
        raise Decline("Gather of channels with computed indices")
    if indices.ndim > 1 and indices.size > max(indices.shape):
        raise Decline("Gather of channels with a table of indices")
    flat = np.ravel(indices).astype(np.int64) % ids.shape[axis]
    _uniform(ids, axis, flat)
    taken = np.take(ids, indices.astype(np.int64), axis=axis)
    if (indices.ndim == 0 or indices.size == 1) and not t.whole(taken):
        t.freeze(taken, "one channel is taken out", n)
    move(t, n, taken)


@resize("Gather")
def _(r: Resizer, n: Node) -> None:
    x = n.inputs[0]
    if not r.touched(x):
        return
    axis = int(n.attrs.get("axis", 0)) % len(r.shape(x))
    kept = r.kept(x, axis)
    indices = r.integers(n, 1)
    if kept.all() or indices is None:
        return
    where = np.cumsum(kept) - 1
    wrapped = [i % len(kept) for i in indices if i is not None]
    r.set_integers(n, 1, [int(where[i]) for i in wrapped if kept[i]])


@rule("Expand", "Tile", kind=MOVEMENT, passes=PASSES)
def expanding(t: Tracer, n: Node) -> None:
    """Repeats along axes without channels (Tile: along channels too)."""
    x, y = n.inputs[0], n.outputs[0]
    if not t.carries(x):
        return
    rank = len(t.shape(y))
    ids = to_rank(t.ids(x), rank)
    before = (1,) * (rank - len(t.shape(x))) + t.shape(x)
    repeats = [b // a if a else 1 for a, b in zip(before, t.shape(y), strict=True)]
    own = [repeats[k] if ids.shape[k] > 1 else 1 for k in range(rank)]
    if (
        n.op_type == "Expand"
        and not varying(ids)
        and any(a == 1 != b for a, b in zip(before, t.shape(y), strict=True))
    ):
        t.freeze(ids, "one channel is broadcast over many", n)
    move(t, n, np.tile(ids, own))


@resize("Expand")
def _(r: Resizer, n: Node) -> None:
    sizes, y = r.integers(n, 1), n.outputs[0]
    if sizes is None or not r.touched(y):
        return
    offset = len(r.shape(y)) - len(sizes)
    r.set_integers(
        n, 1, [r.count(y, k + offset) if s is not None and s > 1 else s for k, s in enumerate(sizes)]
    )


@rule("DepthToSpace", "SpaceToDepth", kind=MOVEMENT, passes=PASSES)
def depth_to_space(t: Tracer, n: Node) -> None:
    """Reshape, Transpose, Reshape."""
    x, y = n.inputs[0], n.outputs[0]
    if not t.carries(x):
        return
    b, (batch, channels, height, width) = int(n.attrs["blocksize"]), t.shape(x)
    crd = n.attrs.get("mode", "DCR") in ("CRD", b"CRD")
    deep = channels // (b * b)
    if n.op_type == "SpaceToDepth":
        grid, stay, perm = (batch, channels, height // b, b, width // b, b), 1, (0, 3, 5, 1, 2, 4)
    elif crd:
        grid, stay, perm = (batch, deep, b, b, height, width), 1, (0, 1, 4, 2, 5, 3)
    else:
        grid, stay, perm = (batch, b, b, deep, height, width), 3, (0, 3, 4, 1, 5, 2)
    ids = reshape(t.ids(x), t.shape(x), grid)
    for axis in varying(ids):
        if axis != stay:
            ids = t.tie(ids, axis)
    between = tuple(grid[k] for k in perm)
    move(t, n, reshape(compact(np.transpose(ids, perm)), between, t.shape(y)))


@rule("Shape", "Size", kind=MOVEMENT, passes="shape arithmetic follows the merge by itself")
def shape_of(t: Tracer, n: Node) -> None:
    """The shape of an activation carries no channels; surgery checks that all shapes follow."""
    t.place(n.outputs[0], no_channel(len(t.shapes.get(n.outputs[0], ()))))
