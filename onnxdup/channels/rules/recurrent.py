"""Recurrent layers: they read channels linearly; their own units stay."""

from __future__ import annotations

from onnxdup.channels.rules.linear import consume
from onnxdup.channels.rules.table import rule
from onnxdup.channels.tracer import Tracer
from onnxdup.graph import Node


@rule("LSTM", "GRU", "RNN", kind="layer", passes="consumer (κ = 0); its own units are frozen")
def recurrent(t: Tracer, n: Node) -> None:
    """W is (directions, gates · units, inputs); initial states belong to the frozen units."""
    for name in n.inputs[5:]:
        t.freeze(t.ids(name), f"state of {n.op_type}", n)
    if t.carries(n.inputs[0]):
        consume(t, n, t.need(n, 1, "weight"), 1, 2, t.vector(n.inputs[0], -1), 1, shift=False)
