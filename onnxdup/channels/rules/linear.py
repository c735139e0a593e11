"""Layers with weights: their rows make channels (producer), their columns read them (consumer)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from onnxdup.channels.constants import Constant
from onnxdup.channels.ids import Ids, to_rank, varying
from onnxdup.channels.rules.legacy import OLDEST
from onnxdup.channels.rules.pointwise import ACTIVATIONS, activate, clip
from onnxdup.channels.rules.table import Resizer, key, resize, rule
from onnxdup.channels.tracer import Decline, Role, Sink, Source, Tracer, Use, moved
from onnxdup.channels.transfer import Affine, Depthwise, PerChannel, Product
from onnxdup.graph import Node

LINEAR = "layer"


def times(
    values: Callable[[], npt.NDArray[np.generic]], gain: float
) -> Callable[[], npt.NDArray[np.generic]]:
    """Deferred gain · values."""
    return values if gain == 1.0 else lambda: np.asarray(values().astype(np.float64) * gain)


def produce(t: Tracer, n: Node, use: Use, y: str, gain: float = 1.0, blocks: int = 1) -> None:
    """The rows of `use` make the channels of `y`."""
    rows = PerChannel(use.ids, lambda: moved(use.constant, use.axis))
    t.sources.append(Source(n, y, rows, gain, use, blocks))


def consume(
    t: Tracer,
    n: Node,
    constant: Constant,
    slot: int,
    axis: int,
    ids: Ids,
    out_axis: int,
    shift: bool,
    gain: float = 1.0,
) -> None:
    """Axis `axis` of the weight reads the channels `ids` of input 0."""
    use = t.bind(constant, axis, ids, Role.CONSUMER, n, slot)
    if not ids.any():
        return
    room = constant.quantised is None and takes_shift(t, n, constant.shape[out_axis])
    value = n.inputs[1 - slot if slot < 2 else 0]
    t.sinks.append(Sink(n, value, use.ids, use, out_axis, gain, shift and room, room))


def bias(
    t: Tracer, n: Node, slot: int, out: Ids, axis: int, role: Role = Role.PRODUCER, gain: float = 1.0
) -> Affine:
    """The bias of a layer as a shift of its channels; Affine() where there is none."""
    if slot >= len(n.inputs) or not n.inputs[slot]:
        return Affine()
    constant = t.need(n, slot, "bias")
    if int(np.prod(constant.shape)) == 1 and (len(out) > 1 or not constant.shape):
        return Affine(shift=gain * float(np.asarray(constant.read(), np.float64).reshape(())))
    if constant.shape[axis] == 1 and len(out) > 1:
        spread = constant.read().reshape(1, -1)
        return Affine(
            shift=PerChannel(
                out, lambda: gain * np.broadcast_to(spread, (len(out), spread.size)).astype(float)
            )
        )
    use = t.bind(constant, axis, out, role, n, slot)
    return Affine(
        shift=PerChannel(out, times(lambda: moved(constant, axis), gain)), shift_use=use, shift_gain=gain
    )


def takes_shift(t: Tracer, n: Node, outputs: int) -> bool:
    """Is there a bias of full length to absorb a constant, or room for a new one?"""
    if key(n) not in ("Conv", "Gemm", "MatMul"):
        return False
    if key(n) == "MatMul":
        return t.document.opset() >= OLDEST
    if len(n.inputs) < 3 or not n.inputs[2]:
        absent_ok = t.document.opset() >= 11 and float(n.attrs.get("beta", 1.0)) != 0
        return key(n) == "Conv" or absent_ok
    held = t.constant(n, 2)
    if held is None or held.problem or held.quantised or not held.shape or held.shape[-1] != outputs:
        return False
    return sum(d > 1 for d in held.shape) <= 1 and float(n.attrs.get("beta", 1.0)) != 0


def is_padded(n: Node) -> bool:
    """Can zeros enter at the border?"""
    auto = n.attrs.get("auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    return auto in ("SAME_UPPER", "SAME_LOWER") or any(int(p) != 0 for p in n.attrs.get("pads", ()))


@rule(
    "Conv", kind=LINEAR, passes="producer and consumer; κ ≠ 0 only without zero padding; depthwise: carrier"
)
def conv(t: Tracer, n: Node) -> None:
    """1-D, 2-D, 3-D, grouped and depthwise."""
    w = t.need(n, 1, "weight")
    x, y, groups = n.inputs[0], n.outputs[0], int(n.attrs.get("group", 1))
    cin = t.vector(x, 1, w.shape[1] * groups)
    if groups > 1 and groups == len(cin) and w.shape[1] == 1:
        out = _depthwise(t, n, w, cin)
    else:
        out = _dense(t, n, w, cin, groups)
    t.place(y, t.lay(out, 1, len(w.shape)))


def _dense(t: Tracer, n: Node, w: Constant, cin: Ids, groups: int) -> Ids:
    each = w.shape[0] // groups
    out = np.tile(t.fresh(each), groups)
    if groups > 1:
        grid = cin.reshape(groups, -1)
        if grid.any() and not grid.all():
            raise Decline("grouped Conv over channels of several origins")
        cin = t.tie(grid, 0)[0]
    consume(t, n, w, 1, 1, cin, 0, shift=not is_padded(n))
    use = t.bind(w, 0, out, Role.PRODUCER, n, 1)
    produce(t, n, use, n.outputs[0], blocks=groups)
    t.step(n, [n.outputs[0]], bias(t, n, 2, out, 0))
    return out


def _depthwise(t: Tracer, n: Node, w: Constant, cin: Ids) -> Ids:
    out = np.repeat(cin, w.shape[0] // len(cin))
    t.bind(w, 0, out, Role.CARRIER, n, 1)
    if not out.any():
        return out
    kernel = PerChannel(out, lambda: moved(w, 0))
    after = bias(t, n, 2, out, 0, Role.CARRIER)
    t.step(n, [n.inputs[0]], Depthwise(kernel, int(np.prod(w.shape[1:])), after, is_padded(n)))
    return out


@resize("Conv", "com.microsoft::FusedConv")
def _(r: Resizer, n: Node) -> None:
    if (groups := int(n.attrs.get("group", 1))) > 1 and groups == r.shape(n.inputs[0])[1]:
        r.set_attr(n, "group", r.count(n.inputs[0], 1))


@rule("ConvTranspose", kind=LINEAR, passes="producer and consumer, κ = 0; depthwise: carrier")
def conv_transpose(t: Tracer, n: Node) -> None:
    """The weight is (channels in, channels out, kernel)."""
    w = t.need(n, 1, "weight")
    x, y, groups = n.inputs[0], n.outputs[0], int(n.attrs.get("group", 1))
    cin = t.vector(x, 1, w.shape[0])
    if groups == 1:
        out = t.fresh(w.shape[1])
        consume(t, n, w, 1, 0, cin, 1, shift=False)
        use = t.bind(w, 1, out, Role.PRODUCER, n, 1)
        produce(t, n, use, y)
        t.step(n, [y], bias(t, n, 2, out, 0))
    elif groups == len(cin) and w.shape[1] == 1:
        out = cin
        if out.any():
            t.bind(w, 0, out, Role.CARRIER, n, 1)
            after = bias(t, n, 2, out, 0, Role.CARRIER)
            t.step(
                n,
                [x],
                Depthwise(PerChannel(out, lambda: moved(w, 0)), int(np.prod(w.shape[1:])), after, True),
            )
    else:
        out = _grouped_transpose(t, n, w, cin, groups)
    t.place(y, t.lay(out, 1, len(w.shape)))


def _grouped_transpose(t: Tracer, n: Node, w: Constant, cin: Ids, groups: int) -> Ids:
    """Axis 0 of the weight holds the input channels of all groups one after the other: each is a copy of
    one channel.
    """
    grid = cin.reshape(groups, -1)
    if grid.any():
        if not grid.all():
            raise Decline("grouped ConvTranspose over channels of several origins")
        consume(t, n, w, 1, 0, np.tile(t.tie(grid, 0)[0], groups), 1, shift=False)
    each = t.fresh(w.shape[1])
    use = t.bind(w, 1, each, Role.PRODUCER, n, 1)
    produce(t, n, use, n.outputs[0])
    out = np.tile(each, groups)
    t.step(n, [n.outputs[0]], bias(t, n, 2, out, 0))
    return out


@resize("ConvTranspose")
def _(r: Resizer, n: Node) -> None:
    if (groups := int(n.attrs.get("group", 1))) > 1 and groups == r.shape(n.inputs[0])[1]:
        r.set_attr(n, "group", r.count(n.inputs[0], 1))


@rule("Gemm", kind=LINEAR, passes="producer and consumer; alpha, beta, transA, transB, any bias shape")
def gemm(t: Tracer, n: Node) -> None:
    """y = alpha x W + beta c."""
    x, y = n.inputs[0], n.outputs[0]
    w = t.constant(n, 1)
    if w is None or t.constant(n, 0) is not None:
        raise Decline("Gemm whose second factor is computed")
    reads, makes = (1, 0) if n.attrs.get("transB", 0) else (0, 1)
    alpha, beta = float(n.attrs.get("alpha", 1.0)), float(n.attrs.get("beta", 1.0))
    cin = t.vector(x, 0 if n.attrs.get("transA", 0) else 1, w.shape[reads])
    consume(t, n, w, 1, reads, cin, makes, shift=True, gain=alpha)
    out = t.fresh(w.shape[makes])
    produce(t, n, t.bind(w, makes, out, Role.PRODUCER, n, 1), y, alpha)
    t.place(y, t.lay(out, 1, 2))
    if len(n.inputs) > 2 and n.inputs[2] and t.constant(n, 2) is None:
        t.freeze(out, "Gemm with a computed bias", n)
        t.freeze(t.ids(n.inputs[2]), "Gemm with a computed bias", n)
        return
    t.step(n, [y], bias(t, n, 2, out, -1, gain=beta))


@rule(
    "MatMul", kind=LINEAR, passes="producer and consumer, constant on either side; two activations: ⟨a¹a², 0⟩"
)
def matmul(t: Tracer, n: Node) -> None:
    """numpy matmul with one constant factor, or the product of two activations."""
    a, b = t.constant(n, 0), t.constant(n, 1)
    if a is not None and b is not None:
        return
    if b is not None:
        _constant_right(t, n, b)
    elif a is not None:
        _constant_left(t, n, a)
    else:
        _contraction(t, n, *n.inputs)


def _matrix_axes(w: Constant) -> tuple[int, int]:
    rank = len(w.shape)
    if rank < 2 or any(d != 1 for d in w.shape[:-2]):
        raise Decline("MatMul with a stack of matrices" if rank > 2 else "MatMul with a vector")
    return rank - 2, rank - 1


def _constant_right(t: Tracer, n: Node, w: Constant) -> None:
    x, y = n.inputs[0], n.outputs[0]
    reads, makes = _matrix_axes(w)
    rank = len(t.shape(y))
    consume(t, n, w, 1, reads, t.vector(x, -1), makes, shift=len(w.shape) == 2)
    out = t.fresh(w.shape[makes])
    produce(t, n, t.bind(w, makes, out, Role.PRODUCER, n, 1), y)
    t.place(y, t.lay(out, rank - 1, rank))


def _constant_left(t: Tracer, n: Node, w: Constant) -> None:
    x, y = n.inputs[1], n.outputs[0]
    makes, reads = _matrix_axes(w)
    rank, vector = len(t.shape(y)), len(t.shape(x)) == 1
    consume(t, n, w, 0, reads, t.vector(x, -1 if vector else -2), makes, shift=len(w.shape) == 2)
    out = t.fresh(w.shape[makes])
    produce(t, n, t.bind(w, makes, out, Role.PRODUCER, n, 0), y)
    t.place(y, t.lay(out, rank - 1 if vector else rank - 2, rank))


def _contraction(t: Tracer, n: Node, left: str, right: str) -> None:
    """No weight can absorb a change of the contracted axis, so it is kept or dropped as one."""
    if not (t.carries(left) or t.carries(right)):
        return
    shapes = [t.shape(left), t.shape(right)]
    if min(len(s) for s in shapes) < 2:
        raise Decline("MatMul of activations with a vector")
    rank = max(len(s) for s in shapes)
    a, b = to_rank(t.ids(left), rank), to_rank(t.ids(right), rank)
    a, b = t.tie(a, rank - 1), t.tie(b, rank - 2)
    axes = {k for z in (a, b) for k in varying(z)}
    if len(axes) != 1:
        for name in (left, right):
            t.freeze(t.ids(name), "product of activations over channels", n)
        return
    axis = axes.pop()
    lengths = [(1,) * (rank - len(s)) + s for s in shapes]
    for z, other, length in ((a, b, lengths[1]), (b, a, lengths[0])):
        if z.shape[axis] > 1 and other.shape[axis] == 1 and length[axis] > 1 and axis < rank - 2:
            raise Decline("product with an activation whose channels are fixed")
    both = axis < rank - 2 and a.shape[axis] > 1 and b.shape[axis] > 1
    if both:
        t.unite(a, b)
    elif a.any() and b.any():
        raise Decline("product of two activations with channels on different axes")
    t.place(n.outputs[0], np.broadcast_to(np.where(a > 0, a, b), np.broadcast_shapes(a.shape, b.shape)))
    t.step(n, [left, right], Product(outside=not both))


@rule("com.microsoft::FusedConv", kind=LINEAR, passes="as Conv, then its activation")
def fused_conv(t: Tracer, n: Node) -> None:
    """onnxruntime's Conv with the activation inside."""
    if len(n.inputs) > 3 and n.inputs[3]:
        raise Decline("FusedConv with a summand")
    conv(t, n)
    name = n.attrs.get("activation", b"")
    name = name.decode() if isinstance(name, bytes) else name
    parameters = [float(p) for p in n.attrs.get("activation_params", ())]
    if not name:
        return
    if name == "Clip":
        transfer = clip(parameters[0], parameters[1]) if parameters else clip(None, None)
    elif name in ACTIVATIONS:
        transfer = ACTIVATIONS[name](dict(zip(("alpha", "beta"), parameters, strict=False)))
    else:
        raise Decline(f"FusedConv with activation {name}")
    y = n.outputs[0]
    activate(t, n, y, y, transfer)


@rule("Gather", kind="movement", passes="constant indices move channels; an embedding table produces them")
def gather(t: Tracer, n: Node) -> None:
    """Indices into an activation, or into a constant table."""
    from onnxdup.channels.rules.movement import gather_activation

    table = t.constant(n, 0)
    if table is None:
        gather_activation(t, n)
        return
    if t.constant(n, 1) is not None or len(table.shape) != 2 or int(n.attrs.get("axis", 0)) != 0:
        return
    out, y = t.fresh(table.shape[1]), n.outputs[0]
    use = t.bind(table, 1, out, Role.PRODUCER, n, 0)
    t.sources.append(Source(n, y, PerChannel(out, lambda: moved(table, 1)), 1.0, use))
    t.place(y, t.lay(out, len(t.shape(y)) - 1, len(t.shape(y))))
