"""Serialized models as a stream: skeleton bytes with tensor data woven in, never one whole copy in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from onnx import ModelProto

from onnxdup.graph.payloads import Payload, chunks
from onnxdup.graph.tensors import Buffer
from onnxdup.graph.weights import is_constant
from onnxdup.graph.wire import (
    ATTRIBUTE_TENSOR,
    GRAPH,
    INITIALIZER,
    NODE,
    NODE_ATTRIBUTE,
    Field,
    fields,
    header,
)

PROTOBUF_LIMIT = 2**31 - 1  # bytes of one serialized message

Parts = list[bytes | Payload]


def parts(model: ModelProto, inline: Mapping[str, Payload]) -> Parts:
    """The serialized model in pieces, with the data of `inline` (by value name) inside its tensors."""
    data = model.SerializeToString(deterministic=True)
    if not inline:
        return [data]
    graph = model.graph
    tensors = {i: inline[t.name] for i, t in enumerate(graph.initializer) if t.name in inline}
    constants = {
        i: inline[n.output[0]] for i, n in enumerate(graph.node) if is_constant(n) and n.output[0] in inline
    }
    result: Parts = []
    for f in fields(data, 0, len(data)):
        if f.number == GRAPH:
            result += _message(GRAPH, _graph(data, f, tensors, constants))
        else:
            result.append(data[f.key : f.end])
    return result


def size(pieces: Iterable[bytes | Payload]) -> int:
    """Bytes of a sequence of parts, without evaluating anything."""
    return sum(len(p) if isinstance(p, bytes) else p.nbytes for p in pieces)


def stream(pieces: Iterable[bytes | Payload]) -> Iterator[Buffer]:
    """The bytes themselves, one tensor at a time."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from chunks(piece)


def _message(number: int, body: Parts) -> Parts:
    return [header(number, size(body)), *body]


def _graph(
    data: bytes, graph: Field, tensors: Mapping[int, Payload], constants: Mapping[int, Payload]
) -> Parts:
    result: Parts = []
    copied, nodes, initializers = graph.start, 0, 0
    for f in fields(data, graph.start, graph.end):
        body: Parts | None = None
        if f.number == NODE:
            if nodes in constants:
                body = _constant(data, f, constants[nodes])
            nodes += 1
        elif f.number == INITIALIZER:
            if initializers in tensors:
                body = _tensor(data, f, tensors[initializers])
            initializers += 1
        if body is not None:
            result += [data[copied : f.key], *_message(f.number, body)]
            copied = f.end
    return [*result, data[copied : graph.end]]


def _constant(data: bytes, node: Field, payload: Payload) -> Parts:
    attribute = next(f for f in fields(data, node.start, node.end) if f.number == NODE_ATTRIBUTE)
    tensor = next(f for f in fields(data, attribute.start, attribute.end) if f.number == ATTRIBUTE_TENSOR)
    inner = _message(ATTRIBUTE_TENSOR, _tensor(data, tensor, payload))
    body: Parts = [data[attribute.start : tensor.key], *inner, data[tensor.end : attribute.end]]
    return [data[node.start : attribute.key], *_message(NODE_ATTRIBUTE, body), data[attribute.end : node.end]]


def _tensor(data: bytes, tensor: Field, payload: Payload) -> Parts:
    """The tensor's fields with the data field in its canonical place, by field number."""
    later = (f.key for f in fields(data, tensor.start, tensor.end) if f.number > payload.field)
    at = next(later, tensor.end)
    return [data[tensor.start : at], header(payload.field, payload.nbytes), payload, data[at : tensor.end]]
