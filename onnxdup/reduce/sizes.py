"""How parameters, bytes and multiply-accumulates depend on the channels that are left.

A stored tensor has Π over its axes of (length − Σ over the groups on that axis of copies · removed) elements;
a multiply-accumulate count is the elements of a weight times the positions that it is applied at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from onnxdup.channels import Binding, ChannelGroup, Trace
from onnxdup.evaluation import Cost, cost
from onnxdup.graph import Document

Unit = Literal["channels", "parameters", "bytes", "macs"]


@dataclass
class _Tensor:
    shape: tuple[int, ...]
    factor: float = 0.0
    axes: dict[int, dict[str, float]] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)

    def amount(self, removed: Mapping[str, int]) -> float:
        left = [float(d) for d in self.shape]
        for axis, groups in self.axes.items():
            left[axis] -= sum(copies * removed.get(name, 0) for name, copies in groups.items())
        return self.factor * math.prod(left)


class Sizes:
    """The part of a model's size that its groups decide, in one unit."""

    def __init__(self, traced: Trace, groups: Iterable[ChannelGroup], unit: Unit) -> None:
        self.unit = unit
        self._tensors: dict[str, _Tensor] = {}
        self._of: dict[str, list[_Tensor]] = {}
        macs = {x.node: x.macs or 0 for x in whole_cost(traced).layers}
        for group in groups:
            mine = {b.tensor: self._bind(traced.document, group, b, macs) for b in group.bindings}
            self._of[group.name] = list(mine.values())

    def saving(self, group: str, step: int, removed: Mapping[str, int]) -> float:
        """What `step` more channels of a group save."""
        if self.unit == "channels":
            return float(step)
        further = {**removed, group: removed.get(group, 0) + step}
        return sum(t.amount(removed) - t.amount(further) for t in self._of[group])

    def _bind(
        self, document: Document, group: ChannelGroup, binding: Binding, macs: Mapping[str, int]
    ) -> _Tensor:
        if binding.tensor not in self._tensors:
            self._tensors[binding.tensor] = _Tensor(_stored_shape(document, binding))
        tensor = self._tensors[binding.tensor]
        copies = len(np.unique(binding.index)) / max(group.size, 1)
        tensor.axes.setdefault(binding.axis, {})[group.name] = copies
        if self.unit == "macs":
            elements = max(math.prod(tensor.shape), 1)
            new = [n for n in binding.nodes if n not in tensor.nodes] if len(tensor.shape) > 1 else []
            tensor.factor += sum(macs.get(n, 0) for n in new) / elements
            tensor.nodes.update(new)
        else:
            tensor.factor = binding.uses[0].constant.dtype.itemsize if self.unit == "bytes" else 1
        return tensor


def whole_cost(traced: Trace) -> Cost:
    """The cost of a traced model at the input shapes of its trace."""
    held = traced.document.weights
    return cost(traced.document, {**traced.shapes, **{name: held.info(name).shape for name in held}})


def _stored_shape(document: Document, binding: Binding) -> tuple[int, ...]:
    """Shape of the tensor that a binding's axis counts in."""
    constant = binding.uses[0].constant
    if binding.tensor in document.weights:
        return tuple(document.weights.info(binding.tensor).shape)
    return tuple(constant.shape)
