"""A weight-free view of the model as a graphsurgeon graph, and the way back.

graphsurgeon is good at navigating and rewiring a graph, but its import and export lose or change dozens of
things (metadata, overridable initializers, empty attributes, subgraph captures, ...). So it gets a projection
that holds nothing it could lose: nodes in the same order, plain attributes only, weights as empty shells, and
what subgraphs capture as additional inputs. Afterwards each node that was touched is patched in the original
protobuf; the others stay as they are.

Passes on the projection compare nodes by identity and never call `toposort`, `fold_constants`, `export_onnx`
or `.values`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper

from onnxdup.errors import UsageError
from onnxdup.graph.order import copied, is_sorted, stable_sort
from onnxdup.graph.protos import Opaque, attribute_value

if TYPE_CHECKING:
    from onnxdup.graph.document import Document, Node

_LISTS = (AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS)
_COERCE: dict[int, Callable[[Any], Any]] = {
    AttributeProto.FLOAT: float,
    AttributeProto.INT: int,
    AttributeProto.FLOATS: lambda v: [float(x) for x in v],
    AttributeProto.INTS: lambda v: [int(x) for x in v],
    AttributeProto.STRINGS: list,
}


class Projection:
    """The graphsurgeon graph of a document, and which of its nodes is which original one."""

    def __init__(self, document: Document) -> None:
        self._document = document
        with contextlib.redirect_stdout(io.StringIO()):  # its logger prints
            self.graph: gs.Graph = gs.import_onnx(project(document))
        self._nodes = tuple(self.graph.nodes)
        self._index = {id(node): i for i, node in enumerate(self._nodes)}
        self._implicit = [len(node.captured) for node in document.nodes]
        self._before = [(_names(n.inputs), _names(n.outputs), dict(n.attrs)) for n in self._nodes]
        everything = [*self.graph.inputs, *self.graph.outputs]
        everything += [t for n in self._nodes for t in (*n.inputs, *n.outputs)]
        self._tensors = {t.name: t for t in everything if t.name}

    def tensor(self, name: str) -> gs.Tensor:
        """The tensor of that name, created when the graph has none; '' is an omitted input."""
        if not name:
            return gs.Variable.empty()
        return self._tensors.setdefault(name, gs.Variable(name))

    def set_input(self, node: Node, slot: int, name: str) -> None:
        """Make a node read another value; the slot behind the last appends."""
        inputs = self._nodes[node.index].inputs
        count = len(inputs) - self._implicit[node.index]
        if not 0 <= slot <= count:
            raise UsageError(f"has {count} inputs, no slot {slot}", node=node.name)
        if slot == count:
            inputs.insert(slot, self.tensor(name))
        else:
            inputs[slot] = self.tensor(name)

    def set_attr(self, node: Node, key: str, value: Any) -> None:
        """Give an attribute a value; None removes it."""
        self._nodes[node.index].attrs[key] = value

    def insert(self, node: Node, *, after: bool, **made: Any) -> gs.Node:
        """Make a node directly before or after an original one; `made` are the arguments of `gs.Node`."""
        anchor, new = self._nodes[node.index], gs.Node(**made)
        at = next(i for i, n in enumerate(self.graph.nodes) if n is anchor)
        self.graph.nodes.insert(at + after, new)
        return new

    def remove(self, node: Node) -> None:
        """Take a node out, with its links."""
        gone = self._nodes[node.index]
        self.graph.nodes[:] = [n for n in self.graph.nodes if n is not gone]
        gone.inputs.clear()
        gone.outputs.clear()

    def divert(self, node: Node, slot: int, made: gs.Node, fresh: str) -> str:
        """Make every reader of an output of `node` read the first output of `made` instead.

        Where the value is a graph output or captured by a subgraph, the name must stay with what is read:
        then `node` gets `fresh` as the name of its output. Returns the name of the first output of `made`.
        """
        old = self._nodes[node.index].outputs[slot]
        kept = any(old is t for t in self.graph.outputs) or self._is_captured(old)
        if kept:
            raw = self.tensor(fresh)
            self._nodes[node.index].outputs[slot] = raw
            _replace(made.inputs, old, raw)
            made.outputs[0] = old
            return str(old.name)
        for reader in [n for n in old.outputs if n is not made]:
            _replace(reader.inputs, old, made.outputs[0])
        return str(made.outputs[0].name)

    def _is_captured(self, tensor: gs.Tensor) -> bool:
        uses = ((self._index.get(id(n)), n) for n in tensor.outputs)
        return any(
            any(t is tensor for t in n.inputs[len(n.inputs) - self._implicit[i] :])
            for i, n in uses
            if i is not None and self._implicit[i]
        )

    def splice(self, model: ModelProto) -> None:
        """Bring the changes into `model`, a copy of the document's skeleton."""
        originals = list(model.graph.node)
        was_sorted = is_sorted(originals)
        spliced = [self._spliced(node, originals) for node in self.graph.nodes]
        if was_sorted and not is_sorted(spliced):
            spliced = stable_sort(spliced)
        if [id(n) for n in spliced] != [id(n) for n in originals]:
            copies = [copied(n) for n in spliced]
            del model.graph.node[:]
            model.graph.node.extend(copies)

    def _spliced(self, node: gs.Node, originals: Sequence[NodeProto]) -> NodeProto:
        index = self._index.get(id(node))
        if index is None:
            return self._exported(node)
        proto = originals[index]
        inputs, outputs, attrs = self._before[index]
        now = _names(node.inputs)
        if now != inputs:
            proto.input[:] = now[: len(now) - self._implicit[index]]
        if _names(node.outputs) != outputs:
            proto.output[:] = _names(node.outputs)
        for key, value in node.attrs.items():
            if key not in attrs or not _same(attrs[key], value):
                self._patch(proto, key, value)
        return proto

    def _exported(self, node: gs.Node) -> NodeProto:
        proto = NodeProto(
            op_type=node.op, name=node.name, input=_names(node.inputs), output=_names(node.outputs)
        )
        if node.domain:
            proto.domain = node.domain
        for key, value in node.attrs.items():
            self._patch(proto, key, value)
        return proto

    def _patch(self, proto: NodeProto, key: str, value: Any) -> None:
        at = next((i for i, a in enumerate(proto.attribute) if a.name == key), None)
        if value is None:
            if at is not None:
                del proto.attribute[at]
            return
        old = proto.attribute[at] if at is not None else None
        kind = old.type if old is not None else self._declared(proto, key)
        made = make_attribute(key, value, kind, proto.name or proto.op_type)
        if old is None:
            proto.attribute.append(made)
            return
        if old.doc_string:
            made.doc_string = old.doc_string
        old.CopyFrom(made)

    def _declared(self, proto: NodeProto, key: str) -> int | None:
        """Type of an attribute by the operator's schema; None when there is no schema."""
        try:
            version = self._document.opset(proto.domain) or defs.onnx_opset_version()
            schema = defs.get_schema(proto.op_type, version, proto.domain)
        except defs.SchemaError:
            return None
        kind: Any = schema.attributes[key].type if key in schema.attributes else None
        return None if kind is None else int(kind.value)


def make_attribute(key: str, value: Any, kind: int | None, node: str) -> AttributeProto:
    """An attribute of the given type (None: that of the value). UsageError when the value does not fit."""
    if isinstance(value, np.ndarray) and kind in (None, AttributeProto.TENSOR):
        return helper.make_attribute(key, numpy_helper.from_array(value, name=key))
    try:
        coerced = _COERCE.get(kind or 0, lambda v: v)(value)
        return helper.make_attribute(key, coerced, attr_type=kind)
    except (TypeError, ValueError) as error:
        raise UsageError(f"attribute {key} cannot be {value!r}: {error}", node=node) from None


def project(document: Document) -> ModelProto:
    """The model that graphsurgeon imports."""
    source = document._model
    model = ModelProto(ir_version=source.ir_version or onnx.IR_VERSION)
    model.opset_import.extend(source.opset_import)
    if not any(o.domain in ("", "ai.onnx") for o in source.opset_import):
        model.opset_import.add(version=defs.onnx_opset_version())
    model.graph.name = source.graph.name or "graph"
    _project_tensors(document, model)
    for node, proto in zip(document.nodes, source.graph.node, strict=True):
        made = model.graph.node.add(op_type=node.op_type, name=proto.name, domain=node.domain)
        made.input.extend([*node.inputs, *node.captured])
        made.output.extend(node.outputs)
        made.attribute.extend(a for a in proto.attribute if _is_plain(a))
    return model


def _project_tensors(document: Document, model: ModelProto) -> None:
    source = document._model.graph
    dense = [(t.name, t.dims, t.data_type) for t in source.initializer]
    sparse = [(s.values.name, s.dims, s.values.data_type) for s in source.sparse_initializer]
    for name, dims, data_type in [*dense, *sparse]:
        shell = model.graph.initializer.add(name=name, dims=dims, data_type=data_type)
        shell.data_location = TensorProto.EXTERNAL
        shell.external_data.add(key="location", value="\0")  # a guard: reading it fails
    weights = {name for name, *_ in [*dense, *sparse]}
    for values, made in (
        (source.input, model.graph.input),
        (source.output, model.graph.output),
        (source.value_info, model.graph.value_info),
    ):
        for value in values:
            if value.name in weights and values is not source.output:
                continue
            copy = made.add(name=value.name)
            if value.type.HasField("tensor_type"):
                copy.type.tensor_type.CopyFrom(value.type.tensor_type)


def _is_plain(attribute: AttributeProto) -> bool:
    """Whether graphsurgeon carries this attribute without loss."""
    value = attribute_value(attribute)
    if isinstance(value, Opaque | bytes) or (isinstance(value, tuple) and not value):
        return False
    return not isinstance(value, tuple) or not any(isinstance(v, bytes) for v in value)


def _names(tensors: Iterable[gs.Tensor]) -> list[str]:
    return [t.name for t in tensors]


def _replace(tensors: Any, old: gs.Tensor, new: gs.Tensor) -> None:
    for i, tensor in enumerate(tensors):
        if tensor is old:
            tensors[i] = new


def _same(a: Any, b: Any) -> bool:
    return a is b or (not isinstance(a, np.ndarray) and not isinstance(b, np.ndarray) and bool(a == b))
