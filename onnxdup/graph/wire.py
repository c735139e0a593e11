"""Weight-free skeleton of a serialized model: the protobuf wire format, walked without reading the weights.

A model is a tree of length-prefixed fields (https://protobuf.dev/programming-guides/encoding). The walk goes
ModelProto.graph -> GraphProto.initializer (and Constant nodes) -> TensorProto, leaves the data fields above
`THRESHOLD` bytes out, and remembers where in the file they are. Opening a model therefore costs
time and memory proportional to its graph, not to its weights.

Anything unusual (groups, repeated fields that should be single, names used twice, lengths that overrun)
raises `Odd`, and the caller parses the whole file instead: the walk is an optimisation, not a second
opinion.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field

THRESHOLD = 1024  # bytes; smaller data stays in the skeleton, so shape inference can read it
MAX_ENTRIES = 5_000_000  # nodes, tensors and value_infos of one graph

# field numbers of onnx.proto
GRAPH = 7
NODE, INITIALIZER = 1, 5
_NODE_OUTPUT, _NODE_OP, NODE_ATTRIBUTE, _NODE_DOMAIN = 2, 4, 5, 7
_ATTRIBUTE_NAME, ATTRIBUTE_TENSOR = 1, 5
_TYPE, FLOAT_DATA, _NAME, RAW_DATA, DOUBLE_DATA, _LOCATION = 2, 4, 8, 9, 10, 14
_PACKED = {FLOAT_DATA: (1, 14), DOUBLE_DATA: (11, 15)}  # fixed-width fields and the element types they hold

Bytes = bytes | mmap.mmap


class Odd(ValueError):
    """The bytes are not the plain form that the walk understands."""


class Truncated(Odd):
    """A field says that it is longer than what is left."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} bytes are missing")
        self.missing = missing


class TooMany(ValueError):
    """More graph entries than `MAX_ENTRIES`."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where the data of one tensor lies in the serialized model, and in which TensorProto field."""

    offset: int
    length: int
    field: int = RAW_DATA


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, wire type, the position of its key, and of its payload."""

    number: int
    wire: int
    key: int
    start: int
    end: int


@dataclass(slots=True)
class Skeleton:
    """Serialized model without its large tensors, and where those are, by value name."""

    data: bytes
    spans: dict[str, Span] = field(default_factory=dict)


def varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Value of the varint at `at`, and the position behind it."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Truncated(1) if at >= end else Odd("varint longer than 64 bits")


def encode_varint(value: int) -> bytes:
    """`value` as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def header(number: int, length: int) -> bytes:
    """Key and length of a length-prefixed field."""
    return encode_varint(number << 3 | 2) + encode_varint(length)


def fields(data: Bytes, start: int, end: int) -> Iterator[Field]:
    """The fields between two positions; `Odd` when they do not end exactly at `end`."""
    at = start
    while at < end:
        key = at
        tag, at = varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise Odd("field number 0")
        at, stop = _payload(data, at, end, wire)
        if stop > end:
            raise Truncated(stop - end)
        yield Field(number, wire, key, at, stop)
        at = stop


def _payload(data: Bytes, at: int, end: int, wire: int) -> tuple[int, int]:
    if wire == 2:
        length, at = varint(data, at, end)
        return at, at + length
    if wire == 0:
        return at, varint(data, at, end)[1]
    if wire in (1, 5):
        return at, at + (8 if wire == 1 else 4)
    raise Odd(f"wire type {wire}")


def skeleton(data: Bytes) -> Skeleton:
    """Split a serialized ModelProto. `Odd` when it needs a full parse, `TooMany` when it must be refused."""
    result = Skeleton(b"")
    pieces: list[bytes] = []
    graphs = 0
    for f in fields(data, 0, len(data)):
        if f.number != GRAPH:
            pieces.append(data[f.key : f.end])
            continue
        graphs += 1
        if f.wire != 2 or graphs > 1:
            raise Odd("the graph is not one message")
        body = _graph(data, f, result.spans)
        pieces += [header(GRAPH, len(body)), body]
    result.data = b"".join(pieces)
    return result


def _graph(data: Bytes, graph: Field, spans: dict[str, Span]) -> bytes:
    pieces: list[bytes] = []
    copied = graph.start
    for count, f in enumerate(fields(data, graph.start, graph.end)):
        if count > MAX_ENTRIES:
            raise TooMany
        if f.wire != 2 or f.end - f.start <= THRESHOLD or f.number not in (NODE, INITIALIZER):
            continue
        body = _tensor(data, f, spans) if f.number == INITIALIZER else _constant(data, f, spans)
        if body is not None:
            pieces += [data[copied : f.key], header(f.number, len(body)), body]
            copied = f.end
    pieces.append(data[copied : graph.end])
    return b"".join(pieces)


def _tensor(data: Bytes, tensor: Field, spans: dict[str, Span], name: str | None = None) -> bytes | None:
    """The TensorProto without its large data field; None when it has none. `name` overrides its own."""
    found = list(fields(data, tensor.start, tensor.end))
    large = [f for f in found if f.wire == 2 and f.end - f.start > THRESHOLD and _is_data(data, f, found)]
    if not large:
        return None
    external = any(f.number == _LOCATION and data[f.start : f.end] != b"\0" for f in found)
    if len(large) > 1 or external:
        raise Odd("more than one place for the data of a tensor")
    strip = large[0]
    if sum(f.number == strip.number for f in found) > 1:
        raise Odd("data field given twice")
    name = _text(data, found, _NAME) if name is None else name
    if not name or name in spans:
        raise Odd("unnamed tensor, or a name used twice")
    spans[name] = Span(strip.start, strip.end - strip.start, strip.number)
    return b"".join(data[f.key : f.end] for f in found if f is not strip)


def _is_data(data: Bytes, f: Field, siblings: list[Field]) -> bool:
    if f.number == RAW_DATA:
        return True
    return f.number in _PACKED and any(
        s.number == _TYPE and s.wire == 0 and varint(data, s.start, s.end)[0] in _PACKED[f.number]
        for s in siblings
    )


def _constant(data: Bytes, node: Field, spans: dict[str, Span]) -> bytes | None:
    """A `Constant` node without the data of its `value`; None for any other node."""
    found = list(fields(data, node.start, node.end))
    if _text(data, found, _NODE_OP) != "Constant" or _text(data, found, _NODE_DOMAIN) not in ("", "ai.onnx"):
        return None
    output = _text(data, found, _NODE_OUTPUT)
    attributes = [f for f in found if f.number == NODE_ATTRIBUTE]
    if len(attributes) != 1:
        return None
    inner = list(fields(data, attributes[0].start, attributes[0].end))
    tensors = [f for f in inner if f.number == ATTRIBUTE_TENSOR and f.wire == 2]
    if _text(data, inner, _ATTRIBUTE_NAME) != "value" or len(tensors) != 1:
        return None
    body = _tensor(data, tensors[0], spans, output)
    if body is None:
        return None
    attribute = _replaced(data, inner, tensors[0], body)
    return _replaced(data, found, attributes[0], attribute)


def _replaced(data: Bytes, found: list[Field], old: Field, body: bytes) -> bytes:
    return b"".join(header(f.number, len(body)) + body if f is old else data[f.key : f.end] for f in found)


def _text(data: Bytes, found: list[Field], number: int) -> str:
    """The single string field of that number, '' when absent."""
    values = [f for f in found if f.number == number]
    if len(values) > 1 or any(f.wire != 2 for f in values):
        raise Odd("a single string field given twice")
    try:
        return data[values[0].start : values[0].end].decode() if values else ""
    except UnicodeDecodeError:
        raise Odd("a name is not UTF-8") from None
