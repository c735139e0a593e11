"""Collected edits brought into a copy of the skeleton.

Rules, each of which corrupts some model when forgotten: an untouched node or tensor stays as it is; a tensor
keeps its place, name and element type; whatever is computed from a changed value loses a declared shape that
inference does not confirm; types of graph inputs and outputs never change, except that initializers which IR
version 3 lists as inputs carry their new shape there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from onnxdup.errors import UsageError
from onnxdup.graph.document import Document
from onnxdup.graph.payloads import Fresh, Lazy, Payload
from onnxdup.graph.protos import Value, all_names, captured_names, declare_shape, keep, read_value
from onnxdup.graph.shapes import confirmed
from onnxdup.graph.tensors import DATA_FIELDS, data_type_of, encode, packed_size
from onnxdup.graph.weights import is_constant
from onnxdup.graph.wire import THRESHOLD

if TYPE_CHECKING:
    from onnxdup.graph.projection import Projection

_FIRST_IR_WITHOUT_LISTED_WEIGHTS = 4


@dataclass
class Changes:
    """What an editor has collected."""

    changed: dict[str, Lazy] = field(default_factory=dict)
    added: dict[str, Lazy] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)  # values whose declared shape is to be forgotten
    touched: set[str] = field(default_factory=set)  # values whose node was edited
    metadata: dict[str, str | None] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)  # weights that callers may no longer override
    projection: Projection | None = None

    def __bool__(self) -> bool:
        tensors = self.changed or self.added or self.removed
        return bool(tensors or self.stale or self.metadata or self.fixed or self.projection)


def spliced(document: Document, changes: Changes) -> Document:
    """The edited document. UsageError when something would be read that no longer exists, or for a cycle."""
    model = ModelProto()
    model.CopyFrom(document._model)
    payloads = {k: v for k, v in document._payloads.items() if k not in changes.removed}
    _change_tensors(model, payloads, changes.changed)
    _add_tensors(model, payloads, changes.added)
    if changes.projection:
        changes.projection.splice(model)
    _remove_tensors(model.graph, changes.removed)
    if changes.projection or changes.removed:
        _refuse_dangling(document, model.graph)
        _drop_annotations(document, model.graph)
    _set_metadata(model, changes.metadata)
    if changes.fixed:
        keep(model.graph.input, lambda v: v.name not in changes.fixed)
    return _without_stale_shapes(document, model, payloads, changes)


def _change_tensors(model: ModelProto, payloads: dict[str, Payload], changed: Mapping[str, Lazy]) -> None:
    graph = model.graph
    dense = {t.name: t for t in graph.initializer if t.name in changed}
    constants = {n.output[0]: n for n in graph.node if is_constant(n) and n.output[0] in changed}
    for name, lazy in changed.items():
        tensor = dense[name] if name in dense else _constant_tensor(constants[name], lazy)
        if tensor is not None:
            _store(tensor, name, lazy, payloads)
    for value in graph.input:
        if value.name in changed and value.type.HasField("tensor_type"):
            declare_shape(value.type.tensor_type.shape, changed[value.name].shape)


def _add_tensors(model: ModelProto, payloads: dict[str, Payload], added: Mapping[str, Lazy]) -> None:
    for name, lazy in added.items():
        tensor = model.graph.initializer.add(name=name, data_type=data_type_of(lazy.dtype))
        _store(tensor, name, lazy, payloads)
        if model.ir_version < _FIRST_IR_WITHOUT_LISTED_WEIGHTS:
            entry = model.graph.input.add(name=name).type.tensor_type
            entry.elem_type = tensor.data_type
            declare_shape(entry.shape, lazy.shape)


def _store(tensor: TensorProto, name: str, lazy: Lazy, payloads: dict[str, Payload]) -> None:
    """New content for a TensorProto of the skeleton: small inline, large as a payload beside it."""
    for data_field in DATA_FIELDS:
        tensor.ClearField(data_field)
    tensor.dims[:] = lazy.shape
    payloads.pop(name, None)
    is_text = tensor.data_type == TensorProto.STRING
    if not is_text and packed_size(tensor.data_type, lazy.shape) > THRESHOLD:
        payloads[name] = Fresh(name, lazy)
        keep(tensor.external_data, lambda entry: entry.key == "location")  # the writer keeps it there
        return
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    array = lazy.evaluate(name)
    if is_text:
        tensor.string_data.extend(s if isinstance(s, bytes) else str(s).encode() for s in array.reshape(-1))
    else:
        tensor.raw_data = bytes(encode(array))


def _constant_tensor(node: NodeProto, lazy: Lazy) -> TensorProto | None:
    """The tensor of a `Constant` node to fill; None when the value went into its list attribute."""
    attribute: AttributeProto = node.attribute[0]
    if attribute.name in ("value_floats", "value_ints") and len(lazy.shape) == 1:
        values: Any = attribute.floats if attribute.name == "value_floats" else attribute.ints
        values[:] = lazy.evaluate(node.output[0]).tolist()
        return None
    if attribute.name != "value":
        attribute.Clear()
        attribute.name, attribute.type = "value", AttributeProto.TENSOR
        attribute.t.data_type = data_type_of(lazy.dtype)
    tensor: TensorProto = attribute.t
    return tensor


def _remove_tensors(graph: GraphProto, gone: set[str]) -> None:
    if gone:
        for values in (graph.initializer, graph.input, graph.value_info):
            keep(values, lambda v: v.name not in gone)
        keep(graph.node, lambda n: not (is_constant(n) and n.output[0] in gone))


def _refuse_dangling(document: Document, graph: GraphProto) -> None:
    defined = {"", *(v.name for v in graph.input), *(t.name for t in graph.initializer)}
    defined |= {s.values.name for s in graph.sparse_initializer} | document._undefined
    defined.update(o for n in graph.node for o in n.output)
    for node in graph.node:
        for name in (*node.input, *captured_names(node)):
            if name not in defined:
                raise UsageError("is read but does not exist", tensor=name, node=node.name or node.op_type)
    for value in graph.output:
        if value.name not in defined:
            raise UsageError("is a graph output but does not exist", tensor=value.name)


def _drop_annotations(document: Document, graph: GraphProto) -> None:
    """Quantization annotations and declared shapes of values that are gone."""
    gone = set(all_names(document._model.graph))
    kept = GraphProto()
    kept.CopyFrom(graph)
    del kept.value_info[:]
    gone -= set(all_names(kept))
    keep(graph.value_info, lambda v: v.name not in gone)
    keep(graph.quantization_annotation, lambda a: a.tensor_name not in gone)


def _set_metadata(model: ModelProto, metadata: Mapping[str, str | None]) -> None:
    keep(model.metadata_props, lambda p: metadata.get(p.key, "") is not None)
    present = {p.key: p for p in model.metadata_props}
    for key, value in metadata.items():
        if value is None:
            continue
        if key in present:
            present[key].value = value
        else:
            model.metadata_props.add(key=key, value=value)


def _without_stale_shapes(
    old: Document, model: ModelProto, payloads: Mapping[str, Payload], changes: Changes
) -> Document:
    """The new document, less the declared shapes that may have become wrong."""

    def wrapped() -> Document:
        return Document(model, payloads, old._files, old._source, edited=True)

    document = wrapped()
    declared = {v.name: v for v in model.graph.value_info}
    doubtful = _doubtful(old, document, changes) & declared.keys() if declared else set()
    found = confirmed(document) if doubtful - changes.stale else {}
    stale = changes.stale | {n for n in doubtful if not _confirms(found.get(n), declared[n])}
    if stale.isdisjoint(declared):
        return document
    keep(model.graph.value_info, lambda v: v.name not in stale)
    return wrapped()


def _doubtful(old: Document, document: Document, changes: Changes) -> set[str]:
    """Values that changed, and all that is computed from them."""
    found = changes.touched | {
        name
        for name, lazy in changes.changed.items()
        if lazy.shape != old.weights.info(name).shape or _is_readable(lazy)
    }
    for node in document.nodes:
        if not found.isdisjoint(node.inputs) or not found.isdisjoint(node.captured):
            found.update(node.outputs)
    return found


def _is_readable(lazy: Lazy) -> bool:
    """Whether shapes may depend on the content: then new content of the same shape matters as well."""
    return lazy.dtype.kind in "iu" and len(lazy.shape) <= 1


def _confirms(found: Value | None, info: ValueInfoProto) -> bool:
    """Whether an inferred shape agrees with a declared one in every fixed dimension."""
    said = read_value(info)
    if said.shape is None or said.kind != "tensor":
        return True
    if found is None or found.shape is None or len(found.shape) != len(said.shape):
        return False
    return all(not isinstance(d, int) or d == f for d, f in zip(said.shape, found.shape, strict=True))
