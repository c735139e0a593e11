"""Pools, reductions and padding over positions of the same channel."""

from __future__ import annotations

import numpy as np

from onnxdup.channels.ids import Ids, compact, varying
from onnxdup.channels.rules.legacy import OLDEST
from onnxdup.channels.rules.linear import is_padded
from onnxdup.channels.rules.table import Resizer, resize, rule
from onnxdup.channels.tracer import Decline, Tracer
from onnxdup.channels.transfer import Agree, Maximum, Norm, Powers, Same, Total, Transfer
from onnxdup.graph import Node

WINDOW = "window"


def over_positions(t: Tracer, n: Node, transfer: Transfer) -> None:
    """Channels on the first two axes pass; a window over channels is declined."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    if any(k > 1 for k in varying(t.ids(x))):
        raise Decline(f"{n.op_type} over channels")
    t.place(n.outputs[0], t.ids(x))
    t.step(n, [x], transfer)


@rule("MaxPool", "GlobalMaxPool", kind=WINDOW, passes="a > 0, any κ")
def max_pool(t: Tracer, n: Node) -> None:
    """Padding of MaxPool is −∞, so a shift passes."""
    if len([o for o in n.outputs if o]) > 1 and t.carries(n.inputs[0]):
        raise Decline("MaxPool that also answers with positions")
    over_positions(t, n, Maximum())


@rule("AveragePool", kind=WINDOW, passes="any a; κ unless zeros are counted at the border")
def average_pool(t: Tracer, n: Node) -> None:
    """With count_include_pad the border is averaged with zeros; before opset 7 nothing says whether it is."""
    said = t.document.opset() >= OLDEST and n.attrs.get("count_include_pad", 0) == 0
    whole = said or not is_padded(n)
    over_positions(
        t,
        n,
        Same(
            keeps_shift=whole
            and (n.attrs.get("ceil_mode", 0) == 0 or n.attrs.get("count_include_pad", 0) == 0)
        ),
    )


@rule("Crop", kind=WINDOW, passes="any a, κ")
def crop(t: Tracer, n: Node) -> None:
    """Borders of images are cut off (experimental, before Slice could do it)."""
    over_positions(t, n, Same())


@rule("GlobalAveragePool", kind=WINDOW, passes="any a, κ")
def global_average_pool(t: Tracer, n: Node) -> None:
    """Weights sum to one."""
    over_positions(t, n, Same())


@rule("LpPool", "GlobalLpPool", kind=WINDOW, passes="⟨|a|, 0⟩")
def lp_pool(t: Tracer, n: Node) -> None:
    """A norm of the window."""
    over_positions(t, n, Norm())


def reduced_axes(t: Tracer, n: Node) -> list[int] | None:
    """Axes of a Reduce operator as non-negative numbers; None where they are computed."""
    rank = t.rank(n.inputs[0])
    axes = n.attrs.get("axes")
    if axes is None and len(n.inputs) > 1 and n.inputs[1]:
        array = t.constants.array(n.inputs[1])
        if array is None:
            return None
        axes = [int(k) for k in np.ravel(array)]
    if axes is None or len(axes) == 0:
        return [] if n.attrs.get("noop_with_empty_axes", 0) else list(range(rank))
    return [int(k) % rank for k in axes]


def _reduced(ids: Ids, axes: list[int], keep: bool) -> Ids:
    ids = compact(ids)
    return ids if keep else ids.reshape([d for k, d in enumerate(ids.shape) if k not in axes])


_REDUCTIONS = {
    "ReduceMean": "any a, κ",
    "ReduceSum": "⟨a, κ·count⟩",
    "ReduceMax": "a > 0, any κ",
    "ReduceMin": "a > 0, any κ",
    "ReduceL1": "⟨|a|, 0⟩",
    "ReduceL2": "⟨|a|, 0⟩",
    "ReduceSumSquare": "⟨a², 0⟩",
    "ReduceProd": "copies",
    "ReduceLogSum": "copies",
    "ReduceLogSumExp": "copies",
}


def _reduction(t: Tracer, n: Node, axes: list[int]) -> Transfer:
    if n.op_type == "ReduceMean":
        return Same()
    if n.op_type == "ReduceSum":
        fixed = t.static(n.inputs[0])
        lengths = [fixed[k] if fixed is not None else None for k in axes]
        known = [d for d in lengths if d is not None]
        return Total(int(np.prod(known)) if len(known) == len(lengths) else None)
    if n.op_type in ("ReduceMax", "ReduceMin"):
        return Maximum()
    if n.op_type in ("ReduceL1", "ReduceL2"):
        return Norm()
    if n.op_type == "ReduceSumSquare":
        return Powers(lambda z: z * np.nan, np.square, even=True)
    return Agree()


def reduce(t: Tracer, n: Node) -> None:
    """Over positions; over channels they are mixed."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    axes = reduced_axes(t, n)
    if axes is None:
        raise Decline(f"{n.op_type} over computed axes")
    if set(axes) & set(varying(t.ids(x))):
        raise Decline(f"{n.op_type} over channels")
    t.place(n.outputs[0], _reduced(t.ids(x), axes, bool(n.attrs.get("keepdims", 1))))
    t.step(n, [x], _reduction(t, n, axes))


for _name, _passes in _REDUCTIONS.items():
    rule(_name, kind=WINDOW, passes=_passes + " over positions; over channels: frozen")(reduce)


def _pads(t: Tracer, n: Node) -> tuple[list[int], float | None]:
    """(begin and end per axis, value): pads of all axes, NaN-free; None where the value is computed."""
    rank = t.rank(n.inputs[0])
    if "pads" in n.attrs or "paddings" in n.attrs:
        return [int(p) for p in n.attrs.get("pads", n.attrs.get("paddings"))], float(
            n.attrs.get("value", 0.0)
        )
    given = t.constants.array(n.inputs[1])
    if given is None:
        raise Decline("Pad with computed pads")
    pads = [int(p) for p in np.ravel(given)]
    if len(n.inputs) > 3 and n.inputs[3]:
        axes = t.constants.array(n.inputs[3])
        if axes is None:
            raise Decline("Pad over computed axes")
        full = [0] * (2 * rank)
        for k, axis in enumerate(np.ravel(axes)):
            full[int(axis) % rank], full[int(axis) % rank + rank] = pads[k], pads[k + len(pads) // 2]
        pads = full
    return pads, t.scalar(n, 2, 0.0)


@rule("Pad", kind=WINDOW, passes="zeros: κ = 0; another value: copies; reflect, edge, wrap: any a, κ")
def pad(t: Tracer, n: Node) -> None:
    """Values padded on the channel axis are no channels and stay."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    pads, value = _pads(t, n)
    mode = n.attrs.get("mode", "constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    ids, rank = t.ids(x), t.rank(x)
    own = [(pads[k], pads[k + rank]) if k in varying(ids) else (0, 0) for k in range(rank)]
    if any(p != (0, 0) for p in own):
        if mode != "constant" or min(min(p) for p in own) < 0:
            raise Decline("Pad over channels")
        ids = np.pad(ids, own)
    t.place(n.outputs[0], ids)
    if mode != "constant":
        t.step(n, [x], Same())
    elif value == 0:
        t.step(n, [x], Same(keeps_shift=not any(pads)))
    else:
        t.step(n, [x], Agree())


@rule("Resize", "Upsample", kind=WINDOW, passes="any a, κ (weights sum to one); with extrapolation: copies")
def resizing(t: Tracer, n: Node) -> None:
    """Interpolation over positions."""
    x, y = n.inputs[0], n.outputs[0]
    if not t.carries(x):
        return
    if any(t.shape(x)[k] != t.shape(y)[k] for k in varying(t.ids(x))):
        raise Decline(f"{n.op_type} over channels")
    crop = n.attrs.get("coordinate_transformation_mode", "") in ("tf_crop_and_resize", b"tf_crop_and_resize")
    t.place(y, t.ids(x))
    t.step(n, [x], Agree() if crop else Same())


@resize("Resize")
def _(r: Resizer, n: Node) -> None:
    if len(n.inputs) > 3 and n.inputs[3] and "axes" not in n.attrs:
        sizes = r.integers(n, 3)
        if sizes is not None:
            r.set_integers(
                n,
                3,
                [
                    r.count(n.outputs[0], k) if r.shape(n.outputs[0])[k] == s else s
                    for k, s in enumerate(sizes)
                ],
            )
