"""Which channel is each element of each activation, and what couples channels: `trace(document)`."""

from __future__ import annotations

from onnxdup.channels.effective import Block, Effective, effective
from onnxdup.channels.flow import Outcome, Reader, constants, relations
from onnxdup.channels.groups import Binding, ChannelGroup
from onnxdup.channels.layers import Layer
from onnxdup.channels.rules import operator_table
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.trace import Trace, trace
from onnxdup.channels.tracer import Freeze, Role

__all__ = [
    "Binding",
    "Block",
    "ChannelGroup",
    "Effective",
    "Freeze",
    "Layer",
    "Outcome",
    "Reader",
    "Role",
    "Symmetry",
    "Trace",
    "constants",
    "effective",
    "operator_table",
    "relations",
    "trace",
]
