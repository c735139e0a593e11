"""Many edits of one large model at once, from nothing but the bindings of its groups.

Like `laws.surgeon`, with every tensor decoded once: permute the channels of groups, or make channels exact
multiples of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from laws.surgeon import MULTIPLIES
from onnx import numpy_helper

FACTORS = MULTIPLIES | {("DequantizeLinear", 1), ("DequantizeLinear", 2)}
Place = tuple[str, str | int, int]


class Planter:
    """A model under edit. Bindings must come from a trace of exactly this model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        graph = self.model.graph
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._stored[node.output[0]] = node.attribute[0].t
        self._readers: dict[str, int] = {}
        for node in graph.node:
            for name in node.input:
                self._readers[name] = self._readers.get(name, 0) + 1
        self._arrays: dict[Place, np.ndarray] = {}

    def permute(self, group: Any, order: np.ndarray) -> None:
        """Channel c of the group moves to place `order`^-1(c)."""
        for binding in group.bindings:
            for place, axis in self._places(binding):
                rows = self._rows(place, binding, axis)
                rows[binding.index] = rows[binding.index[order]]

    def plant(self, group: Any, sources: np.ndarray, targets: np.ndarray, scales: np.ndarray) -> None:
        """Channel targets[k] becomes scales[k] times channel sources[k]; consumers keep their columns."""
        for binding in group.bindings:
            if binding.role.name == "CONSUMER":
                continue
            factor = np.where(self._adds(binding), scales, 1.0)
            for place, axis in self._places(binding):
                rows = self._rows(place, binding, axis)
                lay = factor.reshape(-1, *([1] * (binding.index.ndim - 1 + rows.ndim - 1)))
                rows[binding.index[targets]] = rows[binding.index[sources]].astype(np.float64) * lay

    def finish(self) -> onnx.ModelProto:
        """The model with all edits."""
        graph = self.model.graph
        for (kind, key, slot), array in self._arrays.items():
            if kind == "stored":
                tensor = self._stored[str(key)]
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
                continue
            name = f"planted_{key}_{slot}"
            graph.initializer.append(numpy_helper.from_array(array, name))
            if kind == "own":
                graph.node[int(key)].input[slot] = name
                continue
            for node in graph.node:
                node.input[:] = [name if x == key else x for x in node.input]
        return self.model

    def _places(self, binding: Any) -> list[tuple[Place, int]]:
        """Where a binding is edited: a stored tensor, a copy for one input, or a computed value."""
        out = []
        for use in binding.uses if binding.private else binding.uses[:1]:
            constant = use.constant
            names = {constant.root, *(node.outputs[0] for node in constant.chain)}
            alone = all(self._readers.get(name, 0) <= 1 for name in names)
            folded = constant.axes is None or constant.axes[use.axis] is None
            place: Place
            if binding.private and (folded or not alone):
                place, axis = ("own", use.node.index, use.slot), use.axis
                self._arrays.setdefault(place, constant.read().copy())
            elif folded:
                place, axis = ("computed", constant.name, 0), use.axis
                self._arrays.setdefault(place, constant.read().copy())
            else:
                place, axis = ("stored", constant.root, 0), binding.axis
                if place not in self._arrays:
                    self._arrays[place] = numpy_helper.to_array(self._stored[constant.root]).copy()
            out.append((place, axis))
        return out

    def _rows(self, place: Place, binding: Any, axis: int) -> np.ndarray:
        """A view with the channels first; of the slice that a binding means, where it means only one."""
        array = self._arrays[place]
        if binding.block is None:
            return np.moveaxis(array, axis, 0)
        along, number = binding.block
        return np.moveaxis(array, (along, axis), (0, 1))[number]

    def _adds(self, binding: Any) -> bool:
        """Is it scaled with the channel (weights, biases, means), rather than a factor on the way?"""
        use = binding.uses[0]
        if "Conv" in use.node.op_type and use.slot == 1 and binding.role.name == "CARRIER":
            return False
        return (use.node.op_type, use.slot) not in FACTORS


def widths(group: Any, losses: Mapping[str, int]) -> int:
    """Channels that a group should have after losing what was planted."""
    return int(group.size - losses.get(group.name, 0))
