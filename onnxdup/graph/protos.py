"""Small pieces of protobuf as plain Python values: attributes, types, and what subgraphs capture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, ValueInfoProto

from onnxdup.graph.tensors import dtype_of


@dataclass(frozen=True, slots=True)
class Opaque:
    """An attribute that is carried through and not interpreted (a graph, a type, a sparse tensor, ...)."""

    kind: str


@dataclass(frozen=True, slots=True)
class Value:
    """A graph input, graph output or intermediate value. `shape` None: rank unknown; a str is a symbol."""

    name: str
    dtype: np.dtype[np.generic] | None
    shape: tuple[int | str | None, ...] | None
    kind: str  # 'tensor', 'sequence', 'map', 'optional', 'sparse' or 'opaque'


def attribute_value(attribute: AttributeProto) -> Any:
    """Python value of an attribute of a plain type; `Opaque` for the others."""
    kind = "reference" if attribute.ref_attr_name else AttributeProto.AttributeType.Name(attribute.type)
    match kind:
        case "FLOAT":
            return attribute.f
        case "INT":
            return attribute.i
        case "STRING":
            return _text(attribute.s)
        case "FLOATS":
            return tuple(attribute.floats)
        case "INTS":
            return tuple(attribute.ints)
        case "STRINGS":
            return tuple(_text(s) for s in attribute.strings)
    return Opaque(kind)


def read_value(info: ValueInfoProto) -> Value:
    """Name, type and shape out of a ValueInfoProto."""
    kind = info.type.WhichOneof("value") or "tensor_type"
    if kind in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(info.type, kind)
        shape = tuple(_dim(d) for d in tensor.shape.dim) if tensor.HasField("shape") else None
        return Value(info.name, dtype_of(tensor.elem_type), shape, kind.removesuffix("_type").split("_")[0])
    return Value(info.name, None, None, kind.removesuffix("_type"))


def captured_names(node: NodeProto) -> tuple[str, ...]:
    """Names that the subgraphs of a node read from outside, in order of first use."""
    found: dict[str, None] = {}
    for attribute in node.attribute:
        for graph in subgraphs(attribute):
            found.update(dict.fromkeys(_free_names(graph)))
    return tuple(found)


def subgraphs(attribute: AttributeProto) -> Iterable[GraphProto]:
    """Graphs held by an attribute."""
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _free_names(graph: GraphProto) -> Iterable[str]:
    local = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    local |= {s.values.name for s in graph.sparse_initializer}
    local.update(o for node in graph.node for o in node.output)
    used: dict[str, None] = {}
    for node in graph.node:
        used.update(dict.fromkeys([*node.input, *captured_names(node)]))
    used.update(dict.fromkeys(v.name for v in graph.output))
    return [name for name in used if name and name not in local]


def _dim(dim: Any) -> int | str | None:
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    return str(dim.dim_param) or None


def known_sizes(shape: tuple[int | str | None, ...]) -> tuple[int | None, ...]:
    """A shape with None for its symbols."""
    return tuple(d if isinstance(d, int) else None for d in shape)


def plain_domain(domain: str) -> str:
    """The domain with its alias 'ai.onnx' spelled ''."""
    return "" if domain == "ai.onnx" else domain


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def all_names(graph: GraphProto) -> Iterator[str]:
    """Every name of a value or node in a graph and its subgraphs."""
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (v.name for v in values)
    yield from (s.values.name for s in graph.sparse_initializer)
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for attribute in node.attribute:
            for inner in subgraphs(attribute):
                yield from all_names(inner)


def names_are_text(graph: GraphProto) -> bool:
    """Whether all names are UTF-8; protobuf hands out the others as bytes."""
    values = (graph.input, graph.output, graph.value_info, graph.initializer)
    try:
        "".join(v.name for named in values for v in named)
        "".join(s.values.name for s in graph.sparse_initializer)
        for node in graph.node:
            "".join((node.name, node.op_type, node.domain, *node.input, *node.output))
            "".join(a.name for a in node.attribute)
    except TypeError:
        return False
    inner = (g for node in graph.node for a in node.attribute for g in subgraphs(a))
    return all(names_are_text(g) for g in inner)


def declare_shape(shape: Any, sizes: Iterable[int]) -> None:
    """Make a TensorShapeProto say `sizes`."""
    del shape.dim[:]
    shape.SetInParent()
    for size in sizes:
        shape.dim.add().dim_value = size


def keep(items: Any, wanted: Any) -> None:
    """Delete the elements of a repeated field that are not wanted, in place."""
    for i in range(len(items) - 1, -1, -1):
        if not wanted(items[i]):
            del items[i]
