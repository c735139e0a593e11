"""Quantised operators: rounding of activations passes copies; layers on integers are reported only."""

from __future__ import annotations

import numpy as np

from onnxdup.channels.ids import varying
from onnxdup.channels.quantised import axis_of, code_type
from onnxdup.channels.rules.table import rule
from onnxdup.channels.tracer import Decline, Role, Tracer, moved
from onnxdup.channels.transfer import Agree, Dequantise, Parameter, PerChannel, Quantise, Transfer
from onnxdup.graph import Node

KIND = "quantisation"


@rule(
    *("QuantizeLinear", "DequantizeLinear"),
    *("com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear"),
    kind=KIND,
    passes="copies; with a scale per channel those of equal scale and zero point",
)
def rounding(t: Tracer, n: Node) -> None:
    """Scale and zero point for the whole activation, per channel, or along another axis."""
    x = n.inputs[0]
    if not t.carries(x):
        return
    if n.attrs.get("block_size", 0):
        raise Decline(f"{n.op_type} in blocks")
    t.place(n.outputs[0], t.ids(x))
    t.step(n, [x], _transfer(t, n, x))


def _transfer(t: Tracer, n: Node, x: str) -> Transfer:
    scale = t.need(n, 1, "scale")
    if int(np.prod(scale.shape)) > 1:
        axis = axis_of(n) % len(t.shape(x))
        if axis not in varying(t.ids(x)):
            return Agree()
        if len(varying(t.ids(x))) > 1:
            raise Decline(f"{n.op_type} with a scale per channel over channels on two axes")
        return _made(t, n, _vector(t, n, 1, x, axis), _vector(t, n, 2, x, axis))
    zero = t.scalar(n, 2, 0.0)
    step = t.scalar(n, 1, None)
    if zero is None or step is None:
        raise Decline(f"{n.op_type} with a computed scale or zero point")
    return _made(t, n, step, zero)


def _made(t: Tracer, n: Node, scale: Parameter, zero: Parameter) -> Transfer:
    if n.op_type == "DequantizeLinear":
        return Dequantise(scale, zero)
    return Quantise(scale, zero, code_type(n, t.constant(n, 2)))


def _vector(t: Tracer, n: Node, slot: int, x: str, axis: int) -> Parameter:
    if slot >= len(n.inputs) or not n.inputs[slot]:
        return 0.0
    use = t.bind(t.need(n, slot, "zero point"), 0, t.vector(x, axis), Role.CARRIER, n, slot)
    return PerChannel(use.ids, lambda: moved(use.constant, 0))


DECLINED = {
    "QLinearConv": "QLinearConv rescales its integers by fixed numbers",
    "QLinearMatMul": "QLinearMatMul rescales its integers by fixed numbers",
    "com.microsoft::QGemm": "QGemm rescales its integers by fixed numbers",
    "ConvInteger": "ConvInteger takes activations quantised at run time",
    "MatMulInteger": "MatMulInteger takes activations quantised at run time",
    "com.microsoft::MatMulIntegerToFloat": "MatMulIntegerToFloat takes activations quantised at run time",
    "com.microsoft::DynamicQuantizeMatMul": "DynamicQuantizeMatMul quantises its activations at run time",
    "com.microsoft::MatMulNBits": "MatMulNBits packs its weights in blocks that share scales",
    "DynamicQuantizeLinear": "DynamicQuantizeLinear takes its scale from the activations",
    "com.microsoft.nchwc::Conv": "its weights are reordered for one processor",
    "com.microsoft.nchwc::ReorderInput": "its weights are reordered for one processor",
    "com.microsoft.nchwc::ReorderOutput": "its weights are reordered for one processor",
}


def _declined(t: Tracer, n: Node) -> None:
    """These operators are reported on their dequantised weights and left as they are."""
    from onnxdup.channels.rules.table import key

    raise Decline(DECLINED[key(n)])


for _name in DECLINED:
    rule(_name, kind=KIND, passes="reported, not merged")(_declined)
