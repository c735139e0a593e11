"""Normalisations: per channel they are affine; over channels they mix them and freeze."""

from __future__ import annotations

import numpy as np

from onnxdup.channels.ids import varying
from onnxdup.channels.rules.table import rule
from onnxdup.channels.tracer import Decline, Role, Tracer, moved
from onnxdup.channels.transfer import Affine, Agree, PerChannel, ShiftInvariant, Standardise
from onnxdup.graph import Node


@rule(
    "BatchNormalization", kind="normalisation", passes="any a, κ: ⟨a s_j/s_i, s_j κ + t_j − a (s_j/s_i) t_i⟩"
)
def batch_normalization(t: Tracer, n: Node) -> None:
    """h → s (h − mean) + beta with s = gamma / sqrt(var + eps), as two steps: each rounds by itself."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    if n.attrs.get("training_mode", 0) or n.attrs.get("spatial", 1) == 0:
        raise Decline("BatchNormalization in training mode or per activation")
    if any(o for o in n.outputs[1:]):
        raise Decline("BatchNormalization with training outputs")
    c = t.vector(x, 1)
    uses = [t.bind(t.need(n, k, "parameter"), 0, c, Role.CARRIER, n, k) for k in (1, 2, 3, 4)]
    eps = float(n.attrs.get("epsilon", 1e-5))

    def scale() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        gamma, var = (moved(uses[k].constant, 0).astype(np.float64) for k in (0, 3))
        return np.asarray(gamma / np.sqrt(var + eps))

    beta = PerChannel(c, lambda: moved(uses[1].constant, 0))
    gamma = PerChannel(c, lambda: np.abs(moved(uses[0].constant, 0).astype(np.float64)))
    centre = PerChannel(c, lambda: -moved(uses[2].constant, 0).astype(np.float64))
    t.place(n.outputs[0], t.ids(x))
    t.step(n, [x], Affine(shift=centre, shift_use=uses[2], shift_gain=-1.0))
    t.step(n, [n.outputs[0]], Affine(PerChannel(c, scale), beta, uses[1], mean=beta, spread=gamma))


@rule("InstanceNormalization", kind="normalisation", passes="a = ±1, any κ (the mean erases it)")
def instance_normalization(t: Tracer, n: Node) -> None:
    """(h − mean) / sqrt(var + eps) over positions, times s_c plus t_c."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    if set(varying(t.ids(x))) - {1}:
        raise Decline("InstanceNormalization mixes channels")
    c = t.vector(x, 1)
    scale = t.bind(t.need(n, 1, "scale"), 0, c, Role.CARRIER, n, 1)
    shift = t.bind(t.need(n, 2, "shift"), 0, c, Role.CARRIER, n, 2)
    t.place(n.outputs[0], t.ids(x))
    transfer = Standardise(
        PerChannel(c, lambda: moved(scale.constant, 0)), PerChannel(c, lambda: moved(shift.constant, 0))
    )
    t.step(n, [x], transfer)


def _mixes(t: Tracer, n: Node, axes: set[int]) -> bool:
    return bool(axes & set(varying(t.ids(n.inputs[0]))))


@rule(
    "Softmax",
    "LogSoftmax",
    "Hardmax",
    kind="normalisation",
    passes="over positions: a = 1, any κ; over channels: frozen",
)
def softmax(t: Tracer, n: Node) -> None:
    """Before opset 13 all axes from `axis` on are normalised together."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    rank, old = t.rank(x), t.document.opset() < 13
    axis = int(n.attrs.get("axis", 1 if old else -1)) % rank
    if _mixes(t, n, set(range(axis, rank)) if old else {axis}):
        raise Decline(f"{n.op_type} over channels")
    t.place(n.outputs[0], t.ids(x))
    t.step(n, [x], ShiftInvariant() if n.op_type == "Softmax" else Agree())


@rule(
    "LayerNormalization",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
    "com.microsoft::SimplifiedLayerNormalization",
    kind="normalisation",
    passes="over channels: frozen; over positions: copies",
)
def layer_normalization(t: Tracer, n: Node) -> None:
    """All axes from `axis` on are normalised together."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    rank = t.rank(x)
    if _mixes(t, n, set(range(int(n.attrs.get("axis", -1)) % rank, rank))):
        raise Decline(f"{n.op_type} over channels")
    t.place(n.outputs[0], t.ids(x))
    t.step(n, [x], Agree())


@rule("LpNormalization", kind="normalisation", passes="over channels: frozen; over positions: copies")
def lp_normalization(t: Tracer, n: Node) -> None:
    """Divides by a norm along one axis."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    if _mixes(t, n, {int(n.attrs.get("axis", -1)) % t.rank(x)}):
        raise Decline("LpNormalization over channels")
    t.place(n.outputs[0], t.ids(x))
    t.step(n, [x], Agree())


@rule(
    "GroupNormalization",
    "LRN",
    "MeanVarianceNormalization",
    "com.microsoft::SkipLayerNormalization",
    kind="normalisation",
    passes="frozen: mixes channels",
)
def mixing(t: Tracer, n: Node) -> None:
    """Statistics are taken over channels: removing one changes them for all."""
    if any(t.carries(x) for x in n.inputs):
        raise Decline(f"{n.op_type} over channels")


@rule(
    "ArgMax", "ArgMin", "TopK", kind="normalisation", passes="over channels: frozen; over positions: frozen"
)
def ranking(t: Tracer, n: Node) -> None:
    """The answer is a position: it changes with the channels before it."""
    if any(t.carries(x) for x in n.inputs):
        raise Decline(f"{n.op_type} answers with positions")
