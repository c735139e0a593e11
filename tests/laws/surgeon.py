"""Surgery on channels that knows nothing of onnxdup but the bindings of a group.

A binding says: axis `axis` of `tensor` holds channel c at the positions `index[c]`. That is enough to permute
the channels of a group, and to make one channel an exact function of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

MULTIPLIES = {
    ("BatchNormalization", 1),
    ("BatchNormalization", 4),
    ("InstanceNormalization", 1),
    ("Mul", 0),
    ("Mul", 1),
    ("Div", 1),
    ("PRelu", 1),
}
MOVES = {"Identity", "Transpose", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Flatten"}
QUANTISES = {"QuantizeLinear", "DequantizeLinear"}
Rows = Mapping[str, tuple[float, float]]


class BindingLike(Protocol):
    """What the surgeon reads of a binding."""

    tensor: str
    axis: int
    role: Any
    index: np.ndarray
    block: tuple[int, int] | None
    nodes: tuple[str, ...]
    private: bool


class GroupLike(Protocol):
    """What the surgeon reads of a group."""

    size: int
    bindings: Sequence[Any]


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A deep copy."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def read(model: onnx.ModelProto, name: str) -> np.ndarray:
    """Content of an initializer, of a Constant node, or of a constant that the graph computes."""
    tensor = _stored(model, name)
    return numpy_helper.to_array(tensor) if tensor is not None else _computed(model, name)


def store(model: onnx.ModelProto, name: str, array: np.ndarray) -> None:
    """Replace the content; a computed constant becomes an initializer and its node goes."""
    tensor = _stored(model, name)
    fresh = numpy_helper.from_array(np.ascontiguousarray(array), name)
    if tensor is not None:
        fresh.name = tensor.name
        tensor.CopyFrom(fresh)
        return
    index = next(k for k, node in enumerate(model.graph.node) if name in node.output)
    del model.graph.node[index]
    model.graph.initializer.append(fresh)


def permute(model: onnx.ModelProto, group: GroupLike, order: np.ndarray) -> onnx.ModelProto:
    """The model with channel c of the group moved to place `order`^-1(c) in every tensor."""
    moved = copy_of(model)
    for binding in group.bindings:
        name = own(moved, binding)
        tensor = read(moved, name).copy()
        rows = by_channel(tensor, binding)
        rows[binding.index] = rows[binding.index[order]]
        store(moved, name, tensor)
    return moved


def by_channel(array: np.ndarray, binding: Any) -> np.ndarray:
    """A view of what the binding means, its channel axis first: all of the tensor or one slice of it."""
    axis = binding.axis
    if binding.block is not None:
        at, number = binding.block
        array, axis = np.moveaxis(array, at, 0)[number], axis - (at < axis)
    return np.moveaxis(array, axis, 0)


def plant(
    model: onnx.ModelProto, group: GroupLike, source: int, target: int, scale: float = 1.0
) -> onnx.ModelProto:
    """Channel `target` becomes `scale` times channel `source` wherever every operator between commutes.

    What adds (weights of producers, biases, means, beta) is scaled, what multiplies (gamma, variance, slopes,
    depthwise kernels, factors) is copied. Consumers keep their random columns.
    """
    rows = {b.tensor: (scale, 0.0) for b in group.bindings if not is_consumer(b) and adds(model, b)}
    return plant_rows(model, group, source, target, rows)


def plant_rows(
    model: onnx.ModelProto,
    group: GroupLike,
    source: int,
    target: int,
    rows: Rows,
    columns: Mapping[str, float] | None = None,
) -> onnx.ModelProto:
    """row_j = factor * row_i + offset for the tensors in `rows`, row_j = row_i in the other non-consumers."""
    planted = copy_of(model)
    for binding in group.bindings:
        name = own(planted, binding)
        stored = read(planted, name).copy()
        tensor = by_channel(stored, binding)
        i, j = binding.index[source], binding.index[target]
        if not is_consumer(binding):
            factor, offset = rows.get(binding.tensor, (1.0, 0.0))
            tensor[j] = (tensor[i].astype(np.float64) * factor + offset).astype(tensor.dtype)
        elif columns and binding.tensor in columns:
            tensor[j] = tensor[j] * np.asarray(columns[binding.tensor], tensor.dtype)
        store(planted, name, stored)
    return planted


def copies(binding: BindingLike) -> int:
    """Positions that one channel takes on the axis."""
    return int(np.prod(binding.index.shape[1:]))


def own(model: onnx.ModelProto, binding: BindingLike) -> str:
    """The tensor of a binding; a private one is copied for the binding's nodes where others read it too."""
    node, slot = place(model, binding)
    clone = f"{binding.tensor}_of_{node.name}"
    if node.input[slot] == clone:
        return clone
    readers = {
        n.name for n in model.graph.node for s in range(len(n.input)) if _reads(model, n, s, binding.tensor)
    }
    if not binding.private or readers <= set(binding.nodes):
        return binding.tensor
    model.graph.initializer.append(numpy_helper.from_array(read(model, binding.tensor), clone))
    for other in model.graph.node:
        if other.name in binding.nodes:
            other.input[:] = [clone if name == binding.tensor else name for name in other.input]
    return clone


def place(model: onnx.ModelProto, binding: BindingLike) -> tuple[onnx.NodeProto, int]:
    """The first node of a binding and the input through which it reads the tensor (or the copy of `own`)."""
    node = node_named(model, binding.nodes[0])
    names = {binding.tensor, f"{binding.tensor}_of_{node.name}"}
    slot = next(s for s in range(len(node.input)) if any(_reads(model, node, s, name) for name in names))
    return node, slot


def node_named(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """A node of the main graph, or `OWNER.ATTRIBUTE/NODE` in a subgraph of one."""
    named = {n.name: n for n in model.graph.node}
    for owner in model.graph.node:
        for attribute in (a for a in owner.attribute if a.HasField("g")):
            for index, node in enumerate(attribute.g.node):
                inner = node.name or f"{node.op_type}_{index}"
                named[f"{owner.name}.{attribute.name}/{inner}"] = node
    return named[name]


def width(model: onnx.ModelProto, node_name: str, slot: int, axis: int) -> int:
    """Length of an axis of the weight behind an input of a node; of a vector in any shape its size."""
    node = node_named(model, node_name)
    shape = read(model, _chain(model, node.input[slot])[-1]).shape
    return int(np.prod(shape)) if sum(d > 1 for d in shape) <= 1 else int(shape[axis])


def is_stored(model: onnx.ModelProto, name: str) -> bool:
    """Is it an initializer or a Constant node, rather than computed?"""
    return _stored(model, name) is not None


def is_consumer(binding: BindingLike) -> bool:
    """Does it read the channels?"""
    return binding.role.name == "CONSUMER"


def adds(model: onnx.ModelProto, binding: BindingLike) -> bool:
    """Is it scaled with the channel (weights, biases, means), rather than a factor on the way?"""
    node, slot = place(model, binding)
    if node.op_type in {"Conv", "ConvTranspose"} and slot == 1 and binding.role.name == "CARRIER":
        return False
    return (node.op_type, slot) not in MULTIPLIES


def _reads(model: onnx.ModelProto, node: onnx.NodeProto, slot: int, tensor: str) -> bool:
    moves = node.op_type in MOVES or (node.op_type in QUANTISES and slot == 0)
    return not moves and tensor in _chain(model, node.input[slot])


def _chain(model: onnx.ModelProto, name: str) -> list[str]:
    """The names from an input back to where its content is stored."""
    names = [name]
    while _stored(model, names[-1]) is None:
        node = next((n for n in model.graph.node if names[-1] in n.output), None)
        if node is None or node.op_type not in MOVES | QUANTISES:
            break
        names.append(node.input[0])
    return names


def _stored(model: onnx.ModelProto, name: str) -> onnx.TensorProto | None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return tensor
    for node in model.graph.node:
        if node.op_type == "Constant" and name in node.output:
            return _payload(node)
    return None


def _payload(node: onnx.NodeProto) -> onnx.TensorProto:
    """The tensor of a Constant node; value_floats is turned into one."""
    attribute = node.attribute[0]
    if attribute.name != "value":
        array = np.array(onnx.helper.get_attribute_value(attribute), np.float32)
        attribute.CopyFrom(onnx.helper.make_attribute("value", numpy_helper.from_array(array)))
    return attribute.t


def _computed(model: onnx.ModelProto, name: str) -> np.ndarray:
    """Value of a name that depends on weights only, by running the nodes above it."""
    needed, nodes = {name}, []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.insert(0, node)
    output = onnx.ValueInfoProto(name=name)
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    graph = onnx.helper.make_graph(nodes, "constant", [], [output], weights)
    part = onnx.helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return np.asarray(ReferenceEvaluator(part).run(None, {})[0])


def copy_some(model: onnx.ModelProto, rng: np.random.Generator, spared: float, least: int) -> None:
    """Entry 4 of every axis of `least` or more becomes entry 1, in all weights but a share `spared`."""
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if values.dtype.kind != "f" or rng.random() < spared:
            continue
        for axis in range(values.ndim):
            if values.shape[axis] >= least:
                view = np.moveaxis(values, axis, 0)
                view[4] = view[1]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
