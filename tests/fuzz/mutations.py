"""Mutants of ONNX models: random bytes, random protobuf fields, and hostile structures. Seeded, no I/O.

A mutant is a function of its seed and of the corpus. Most mutations keep the file readable, so that the
layers behind the loader see them; the rest tests the loader.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, EncodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Seed:
    """A model to start from: its bytes, and its data files by location."""

    name: str
    model: bytes
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Mutant:
    """A damaged model, and how it was made."""

    number: int
    history: tuple[str, ...]
    model: bytes
    files: Mapping[str, bytes]


INTEGERS = (0, 1, -1, 2, 3, 7, 64, 255, 1 << 16, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 63) - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-40, 3e38)
TEXTS = ("", "x", "../x", "/etc/passwd", "a\nb", "\u202e", "\0", "C:\\x", "ai.onnx", "N" * 3000, "%s{}[b]")
LOCATIONS = (
    "../m.data",
    "/etc/hostname",
    "",
    ".",
    "m.onnx",
    "sub/m.data",
    "m.data/x",
    "missing",
    "a\0b",
    "~/x",
)
OPERATORS = """
Add Mul Sub Div Pow Max Min Where Relu Sigmoid Tanh Gelu Clip PRelu LeakyRelu Softmax Identity Cast
Conv ConvTranspose Gemm MatMul BatchNormalization LayerNormalization InstanceNormalization Concat
Split Slice Gather Reshape Transpose Squeeze Unsqueeze Flatten Expand Tile Pad Shape Size
ConstantOfShape MaxPool AveragePool GlobalAveragePool ReduceMean ReduceSum Resize LSTM GRU RNN If
Loop Scan Constant Einsum LRN DepthToSpace SpaceToDepth QuantizeLinear DequantizeLinear QLinearConv
MatMulInteger TopK Range OneHot GroupNormalization Attention RMSNormalization Dropout ArgMax Unknown
""".split()  # noqa: SIM905


def mutant(number: int, corpus: Sequence[Seed]) -> Mutant:
    """The mutant of that number."""
    rng = random.Random(number)
    seed = corpus[rng.randrange(len(corpus))]
    files = dict(seed.files)
    if rng.random() < 0.25:
        model, history = _of_bytes(rng, seed.model, corpus), ["bytes"]
        if files and rng.random() < 0.3:
            location = rng.choice(sorted(files))
            files[location] = files[location][: rng.randrange(len(files[location]) + 1)]
        return Mutant(number, (seed.name, *history), model, files)
    proto = ModelProto.FromString(seed.model)
    history = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        change = rng.choice(_CHANGES)
        history.append(change.__name__.strip("_"))
        try:
            change(rng, proto)
        except (IndexError, ValueError, TypeError, KeyError, UnicodeError, AttributeError, DecodeError):
            history[-1] += " (no place)"
    try:
        data = proto.SerializeToString()
    except (EncodeError, DecodeError, ValueError):
        data = seed.model
    return Mutant(number, (seed.name, *history), data, files)


def _of_bytes(rng: random.Random, data: bytes, corpus: Sequence[Seed]) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) or 1)
        match rng.randrange(7):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                out[at : at + 1] = bytes([out[at] ^ 1 << rng.randrange(8)]) if out else b"\1"
            case 2:
                del out[at : at + rng.randrange(1, 65)]
            case 3:
                out[at:at] = out[at : at + rng.randrange(1, 257)]
            case 4:
                del out[at:]
            case 5:
                other = rng.choice(corpus).model
                start = rng.randrange(len(other))
                out[at:at] = other[start : start + rng.randrange(1, 513)]
            case 6:
                out[at:at] = rng.choice(
                    (b"\xff" * 9 + b"\1", b"\0" * 32, b"\x80" * 12, b"\x3a\xff\xff\xff\x7f")
                )
    return bytes(out)


# -- any field of any message


def _fields(message: Any, found: list[tuple[Any, Any]], depth: int = 0) -> list[tuple[Any, Any]]:
    for descriptor, value in message.ListFields():
        found.append((message, descriptor))
        if descriptor.type == descriptor.TYPE_MESSAGE and depth < 12:
            for inner in value if _many(descriptor) else [value]:
                _fields(inner, found, depth + 1)
    return found


def _many(descriptor: Any) -> bool:
    repeated = getattr(descriptor, "is_repeated", None)
    return bool(repeated if repeated is not None else descriptor.label == descriptor.LABEL_REPEATED)


def _any_field(rng: random.Random, model: ModelProto) -> None:
    message, descriptor = rng.choice(_fields(model, []))
    _change_field(rng, model, message, descriptor)


def _field_of_a_node(rng: random.Random, model: ModelProto) -> None:
    node = rng.choice(model.graph.node)
    _change_field(rng, model, *rng.choice(_fields(node, [])))


def _new_field(rng: random.Random, model: ModelProto) -> None:
    """Set a field that was not set."""
    message, _ = rng.choice(_fields(model, []))
    descriptor = rng.choice(message.DESCRIPTOR.fields)
    if descriptor.type == descriptor.TYPE_MESSAGE:
        target = getattr(message, descriptor.name)
        if _many(descriptor):
            target.add()
        else:
            target.SetInParent()
    elif _many(descriptor):
        getattr(message, descriptor.name).append(_scalar(rng, model, descriptor, None))
    else:
        setattr(message, descriptor.name, _scalar(rng, model, descriptor, None))


def _change_field(rng: random.Random, model: ModelProto, message: Any, descriptor: Any) -> None:
    value = getattr(message, descriptor.name)
    if rng.random() < 0.15:
        message.ClearField(descriptor.name)
        return
    if not _many(descriptor):
        if descriptor.type == descriptor.TYPE_MESSAGE:
            alike = [getattr(m, d.name) for m, d in _fields(model, []) if d.full_name == descriptor.full_name]
            value.CopyFrom(rng.choice(alike))
        else:
            setattr(message, descriptor.name, _scalar(rng, model, descriptor, value))
        return
    at = rng.randrange(len(value))
    match rng.randrange(4):
        case 0:
            del value[at]
        case 1 if descriptor.type == descriptor.TYPE_MESSAGE:
            value.add().CopyFrom(value[at])
        case 1:
            value.append(value[at])
        case 2:
            other = rng.randrange(len(value))
            _swap(descriptor, value, at, other)
        case _:
            if descriptor.type == descriptor.TYPE_MESSAGE:
                value[at].Clear() if rng.random() < 0.3 else value[at].CopyFrom(rng.choice(value))
            else:
                value[at] = _scalar(rng, model, descriptor, value[at])


def _swap(descriptor: Any, value: Any, a: int, b: int) -> None:
    if descriptor.type == descriptor.TYPE_MESSAGE:
        held = type(value[a])()
        held.CopyFrom(value[a])
        value[a].CopyFrom(value[b])
        value[b].CopyFrom(held)
    else:
        value[a], value[b] = value[b], value[a]


def _scalar(rng: random.Random, model: ModelProto, descriptor: Any, old: Any) -> Any:
    kind = descriptor.cpp_type
    if kind in (descriptor.CPPTYPE_FLOAT, descriptor.CPPTYPE_DOUBLE):
        return rng.choice(FLOATS)
    if kind == descriptor.CPPTYPE_ENUM:
        return rng.choice([*(v.number for v in descriptor.enum_type.values), 99])
    if kind == descriptor.CPPTYPE_STRING and descriptor.type == descriptor.TYPE_STRING:
        return rng.choice(TEXTS) if rng.random() < 0.5 else rng.choice(_names(model))
    if kind == descriptor.CPPTYPE_STRING:
        return _damaged(rng, old or b"")
    if old is not None and rng.random() < 0.5:
        return old + rng.choice((-1, 1))
    number = rng.choice(INTEGERS)
    return number if descriptor.type in (descriptor.TYPE_INT64,) else max(min(number, 2**31 - 1), -(2**31))


def _damaged(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b"", data[:-1], data + b"\0", data[::-1], b"\xff" * len(data), b"\0" * len(data)))


def _names(model: ModelProto) -> list[str]:
    graph = model.graph
    named = [v.name for v in (*graph.input, *graph.output, *graph.initializer)]
    return [*named, *(o for n in graph.node for o in n.output)] or ["x"]


# -- mutations that keep a model readable


def _rewire(rng: random.Random, model: ModelProto) -> None:
    """An input of a node becomes any other value: cycles, type errors, wrong ranks."""
    node = rng.choice(model.graph.node)
    node.input[rng.randrange(len(node.input))] = rng.choice(_names(model))


def _rename_output(rng: random.Random, model: ModelProto) -> None:
    """Two definitions of one name."""
    node = rng.choice(model.graph.node)
    node.output[rng.randrange(len(node.output))] = rng.choice(_names(model))


def _operator(rng: random.Random, model: ModelProto) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(OPERATORS)


def _inserted(rng: random.Random, model: ModelProto) -> None:
    """A new node on a value, its readers rewired."""
    node = rng.choice(model.graph.node)
    old, new = node.output[0], f"{node.output[0]}_new{rng.randrange(99)}"
    extra = rng.sample(_names(model), rng.choice((0, 0, 1, 1, 2)))
    made = helper.make_node(rng.choice(OPERATORS), [old, *extra], [new])
    if rng.random() < 0.4:
        key = rng.choice(("axis", "axes", "perm", "group", "pads", "kernel_shape", "strides", "alpha", "to"))
        made.attribute.append(helper.make_attribute(key, rng.choice((1, -1, [0, 1], [2, 2, 2, 2], 99))))
    for reader in model.graph.node:
        for k, name in enumerate(reader.input):
            if name == old:
                reader.input[k] = new
    model.graph.node.append(made)


def _attribute(rng: random.Random, model: ModelProto) -> None:
    nodes = [n for n in model.graph.node if n.attribute]
    attribute = rng.choice(rng.choice(nodes).attribute)
    match rng.randrange(4):
        case 0:
            attribute.i = rng.choice(INTEGERS)
            attribute.type = AttributeProto.INT
        case 1:
            del attribute.ints[:]
            attribute.ints.extend(rng.choices(INTEGERS, k=rng.randrange(9)))
            attribute.type = AttributeProto.INTS
        case 2 if attribute.ints:
            k = rng.randrange(len(attribute.ints))
            attribute.ints[k] += rng.choice((-2, -1, 1, 2))
        case _:
            attribute.type = rng.randrange(15)


def _weight(rng: random.Random) -> Callable[[ModelProto], TensorProto]:
    return lambda model: rng.choice(model.graph.initializer)


def _permuted_dims(rng: random.Random, model: ModelProto) -> None:
    """The same number of elements in another shape."""
    tensor = _weight(rng)(model)
    dims = list(tensor.dims)
    match rng.randrange(4):
        case 0:
            rng.shuffle(dims)
        case 1:
            dims.insert(rng.randrange(len(dims) + 1), 1)
        case 2:
            dims = [int(np.prod(dims))]
        case 3:
            dims = [1] * rng.randrange(70) + dims
    tensor.dims[:] = dims


def _resized(rng: random.Random, model: ModelProto) -> None:
    """A weight with other, consistent content: another shape or type, odd numbers, duplicates."""
    tensor = _weight(rng)(model)
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ValueError("its data is elsewhere")
    array = np.array(numpy_helper.to_array(tensor))
    match rng.randrange(6):
        case 0:
            axis = rng.randrange(array.ndim)
            array = np.repeat(array, rng.choice((0, 2)), axis)
        case 1:
            array = array.astype(rng.choice((np.float16, np.float64, np.int8, np.int64, np.bool_)))
        case 2 if array.dtype.kind == "f":
            array.reshape(-1)[rng.randrange(array.size)] = rng.choice(FLOATS)
        case 3 if array.dtype.kind == "f":
            array[...] = rng.choice(FLOATS)
        case 4:
            array[rng.randrange(len(array))] = array[rng.randrange(len(array))]
        case _:
            array.reshape(-1)[rng.randrange(array.size)] = rng.choice((0, 1, -1, 100))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _dims(rng: random.Random, model: ModelProto) -> None:
    tensor = _weight(rng)(model)
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(INTEGERS)
    else:
        tensor.dims.append(rng.choice(INTEGERS))


def _declared_dims(rng: random.Random, model: ModelProto) -> None:
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    dims = rng.choice(values).type.tensor_type.shape.dim
    rng.choice(dims).dim_value = rng.choice(INTEGERS)


def _external(rng: random.Random, model: ModelProto) -> None:
    """External data entries: wrong, hostile, twice."""
    tensor = _weight(rng)(model)
    tensor.data_location = TensorProto.EXTERNAL
    entries = {e.key: e.value for e in tensor.external_data} or {"location": "m.data"}
    key = rng.choice(("location", "offset", "length", "checksum", "other"))
    wild = ("-1", "1e3", "0x10", "", " 1", "9" * 30, str(2**63), "1", "4096", "\u0661")
    entries[key] = rng.choice(LOCATIONS) if key == "location" else rng.choice(wild)
    del tensor.external_data[:]
    for k, v in entries.items():
        tensor.external_data.add(key=k, value=v)
    if rng.random() < 0.2:
        tensor.external_data.add(key="location", value=rng.choice(LOCATIONS))


def _listed(rng: random.Random, model: ModelProto) -> None:
    """An initializer that is also an input or an output, at some IR version."""
    tensor = _weight(rng)(model)
    values = rng.choice((model.graph.input, model.graph.output))
    values.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    model.ir_version = rng.choice((3, 4, 8, 0, 99))


def _order(rng: random.Random, model: ModelProto) -> None:
    nodes = [NodeProto.FromString(n.SerializeToString()) for n in model.graph.node]
    rng.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _opset(rng: random.Random, model: ModelProto) -> None:
    match rng.randrange(3):
        case 0:
            model.opset_import[0].version = rng.choice((0, 1, 6, 7, 11, 13, 18, 25, 999, -1))
        case 1:
            model.opset_import.add(domain=rng.choice(("", "com.microsoft", "x")), version=1)
        case 2:
            del model.opset_import[:]


# -- hostile structures


def _deep_subgraphs(rng: random.Random, model: ModelProto) -> None:
    """If inside If inside If."""
    depth = rng.choice((3, 15, 30, 33))  # protobuf refuses more than 100 messages in each other
    graph = GraphProto(name="leaf")
    graph.node.append(helper.make_node("Identity", [rng.choice(_names(model))], ["leaf_out"]))
    graph.output.append(helper.make_tensor_value_info("leaf_out", 1, None))
    for level in range(depth):
        outer = GraphProto(name=f"level{level}")
        node = outer.node.add(op_type="If", output=[f"out{level}"])
        node.input.append("condition")
        for key in ("then_branch", "else_branch") if level < 4 else ("then_branch",):
            attribute = node.attribute.add(name=key, type=AttributeProto.GRAPH)
            attribute.g.CopyFrom(graph)
        outer.output.append(helper.make_tensor_value_info(f"out{level}", 1, None))
        graph = outer
    model.graph.node.extend(graph.node)


def _constant_chain(rng: random.Random, model: ModelProto) -> None:
    """A weight behind thousands of nodes that only pass it on."""
    node = rng.choice([n for n in model.graph.node if len(n.input) > 1])
    slot = rng.randrange(len(node.input))
    name = node.input[slot]
    op = rng.choice(("Identity", "Transpose", "Cast", "Neg", "Relu", "Reshape"))
    count = rng.choice((10, 100, 1500))
    first = rng.randrange(1 << 20)
    chain = []
    for k in range(count):
        new = f"chain{first}_{k}"
        made = helper.make_node(op, [name], [new])
        if op == "Cast":
            made.attribute.append(helper.make_attribute("to", 1))
        chain.append(made)
        name = new
    node.input[slot] = name
    model.graph.node.extend(chain if rng.random() < 0.5 else chain[::-1])


def _doubling(rng: random.Random, model: ModelProto) -> None:
    """Constants that grow without end: x, Concat(x, x), ...; or one huge ConstantOfShape, Expand, Range."""
    node = rng.choice([n for n in model.graph.node if len(n.input) > 1])
    slot, first = rng.randrange(len(node.input)), rng.randrange(1 << 20)
    name = node.input[slot]
    if rng.random() < 0.6:
        for k in range(40):
            new = f"double{first}_{k}"
            model.graph.node.append(helper.make_node("Concat", [name, name], [new], axis=0))
            name = new
    else:
        size = numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), f"huge{first}")
        model.graph.initializer.append(size)
        op = rng.choice(("ConstantOfShape", "Expand", "Reshape", "Tile"))
        inputs = [size.name] if op == "ConstantOfShape" else [name, size.name]
        model.graph.node.append(helper.make_node(op, inputs, [f"vast{first}"]))
        name = f"vast{first}"
    node.input[slot] = name


def _function(rng: random.Random, model: ModelProto) -> None:
    """A local function that calls itself or another one, under the name of an operator of the model."""
    node = rng.choice(model.graph.node)
    domain = rng.choice(("", "local"))
    inputs, outputs = [f"i{k}" for k in range(len(node.input))], [f"o{k}" for k in range(len(node.output))]
    body = [helper.make_node(node.op_type, inputs, outputs, domain=domain)]
    made = helper.make_function(domain, node.op_type, inputs, outputs, body, list(model.opset_import))
    model.functions.append(made)
    node.domain = domain


_CHANGES = (
    *[_any_field, _field_of_a_node, _rewire, _attribute, _resized, _permuted_dims] * 3,
    *[_new_field, _rename_output, _operator, _inserted, _dims, _declared_dims, _external, _listed] * 2,
    *[_order, _opset, _deep_subgraphs, _constant_chain, _doubling, _function],
)
