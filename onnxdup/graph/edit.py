"""Edits of a document: collected first, then spliced into a copy of the skeleton.

Rules (each one a way to corrupt a model when forgotten): an untouched node or tensor stays as it is; a tensor
keeps its place, name and element type; whatever is computed from a changed value loses a declared shape that
inference does not confirm; types of graph inputs and outputs never change, except that initializers which IR
version 3 lists as inputs carry their new shape there; new names collide with nothing, subgraphs included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from onnxdup.errors import Bug, UsageError
from onnxdup.graph.document import Document, Node, subgraphs
from onnxdup.graph.layout import DATA_FIELDS
from onnxdup.graph.payloads import Fresh, Lazy, Payload
from onnxdup.graph.shapes import confirmed
from onnxdup.graph.tensors import Array, data_type_of, encode, packed_size
from onnxdup.graph.weights import is_constant
from onnxdup.graph.wire import THRESHOLD

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnxdup.graph.projection import Projection


class Editor:
    """Collects changes to a document, which itself never changes. Nothing happens before `finish`."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._changed: dict[str, Lazy] = {}
        self._added: dict[str, Lazy] = {}
        self._removed: set[str] = set()
        self._stale: set[str] = set()
        self._touched: set[str] = set()  # outputs of nodes that were edited
        self._metadata: dict[str, str | None] = {}
        self._projected = False

    @cached_property
    def projection(self) -> Projection:
        """The graphsurgeon projection; `projection.graph` is free to be rewired by identity."""
        from onnxdup.graph.projection import Projection  # deferred: loads graphsurgeon

        self._projected = True
        return Projection(self._document)

    @property
    def graph(self) -> gs.Graph:
        """The weight-free graphsurgeon graph."""
        return self.projection.graph

    def set_tensor(self, name: str, array: Array | Lazy) -> None:
        """Give a weight new content, perhaps of another shape; its element type stays.

        UsageError when there is no such weight, it is sparse, or it is overridable and would change shape.
        """
        if name in self._added:
            self._added[name] = Lazy.of(array, name, self._added[name].dtype)
            return
        info = self._weight(name)
        new = Lazy.of(array, name, info.dtype)
        if name in self._document.overridable and new.shape != info.shape:
            raise UsageError("callers may override this weight, so its shape cannot change", tensor=name)
        self._changed[name] = new

    def add_tensor(self, name_hint: str, array: Array | Lazy) -> str:
        """Add an initializer; returns its name, which is `name_hint` or that with a number."""
        name = self.fresh_name(name_hint)
        self._added[name] = Lazy.of(array, name)
        return name

    def remove_tensor(self, name: str) -> None:
        """Remove a weight. `finish` refuses when something still reads it."""
        if self._added.pop(name, None) is not None:
            return
        self._weight(name)
        if name in self._document.overridable:
            raise UsageError("callers may override this weight, so it cannot be removed", tensor=name)
        self._changed.pop(name, None)
        self._removed.add(name)

    def set_attr(self, node: Node, key: str, value: Any) -> None:
        """Give an attribute a value, in the type that the node or the schema has; None removes it."""
        self._mine(node)
        self.projection.set_attr(node, key, value)
        self._touched.update(node.outputs)

    def set_input(self, node: Node, slot: int, name: str) -> None:
        """Make a node read another value; `slot == len(inputs)` appends, '' omits."""
        self._mine(node)
        self.projection.set_input(node, slot, name)
        self._touched.update(node.outputs)

    def insert_after(
        self,
        node: Node,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attrs: Mapping[str, Any] | None = None,
        output_slot: int | None = 0,
        *,
        domain: str = "",
    ) -> tuple[str, ...]:
        """Insert an operator directly behind `node`; returns the names of its outputs.

        All readers of output `output_slot` of `node` then read the first output of the new operator; None
        rewires nobody. `outputs` are wishes: a name that is taken gets a number, and where the replaced value
        is a graph output or is captured by a subgraph, the first output takes over its name.
        """
        self._mine(node)
        made = self._make(op_type, node, outputs, attrs, domain)
        made.inputs.extend([self.projection.tensor(name) for name in inputs])
        self.projection.insert(node, made, after=True)
        if output_slot is not None:
            fresh = self.fresh_name(f"{node.outputs[output_slot]}_{node.op_type}")
            self.projection.divert(node, output_slot, made, fresh)
            self._touched.add(node.outputs[output_slot])
        self._touched.update(t.name for t in made.outputs)
        return tuple(t.name for t in made.outputs)

    def insert_before(
        self,
        node: Node,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attrs: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> tuple[str, ...]:
        """Insert an operator directly before `node`, rewiring nobody; returns the names of its outputs."""
        self._mine(node)
        made = self._make(op_type, node, outputs, attrs, domain)
        made.inputs.extend([self.projection.tensor(name) for name in inputs])
        self.projection.insert(node, made, after=False)
        return tuple(t.name for t in made.outputs)

    def remove_node(self, node: Node) -> None:
        """Remove an operator. `finish` refuses when something still reads its outputs."""
        self._mine(node)
        self.projection.remove(node)

    def drop_value_info(self, names: Iterable[str]) -> None:
        """Forget the declared shapes of these values."""
        self._stale.update(names)

    def set_metadata(self, values: Mapping[str, str | None]) -> None:
        """Set entries of the model's metadata; None removes one."""
        self._metadata.update(values)

    def fresh_name(self, hint: str) -> str:
        """A name that nothing in the model has, subgraphs included; reserved from now on."""
        name, number = hint or "value", 1
        while name in self._names:
            name, number = f"{hint or 'value'}_{number}", number + 1
        self._names.add(name)
        return name

    def finish(self) -> Document:
        """The changed document; the same one when nothing was changed."""
        edits = (self._changed, self._added, self._removed, self._stale, self._metadata)
        if not any(edits) and not self._projected:
            return self._document
        model = ModelProto()
        model.CopyFrom(self._document._model)
        payloads = {k: v for k, v in self._document._payloads.items() if k not in self._removed}
        self._store_tensors(model, payloads)
        if self._projected:
            self.projection.splice(model)
        self._remove_tensors(model)
        self._store_metadata(model)
        return self._without_stale_shapes(model, payloads)

    # -- names and checks

    @cached_property
    def _names(self) -> set[str]:
        return set(_all_names(self._document._model.graph))

    def _weight(self, name: str) -> Any:
        if name not in self._document.weights or name in self._removed:
            raise UsageError("is no weight of this model", tensor=name, file=self._document.origin)
        info = self._document.weights.info(name)
        if info.storage == "sparse":
            raise UsageError("is sparse and cannot be edited", tensor=name, file=self._document.origin)
        return info

    def _mine(self, node: Node) -> None:
        nodes = self._document.nodes
        if node.index >= len(nodes) or nodes[node.index] is not node:
            raise Bug("this node belongs to another document", node=node.name)

    def _make(
        self, op_type: str, near: Node, outputs: Sequence[str], attrs: Mapping[str, Any] | None, domain: str
    ) -> gs.Node:
        import onnx_graphsurgeon as gs

        values = [self.projection.tensor(self.fresh_name(o) if o else "") for o in outputs]
        name = self.fresh_name(f"{near.name}_{op_type}")
        return gs.Node(op=op_type, name=name, attrs=dict(attrs or {}), outputs=values, domain=domain or None)

    # -- tensors

    def _store_tensors(self, model: ModelProto, payloads: dict[str, Payload]) -> None:
        graph = model.graph
        dense = {t.name: t for t in graph.initializer if t.name in self._changed}
        constants = {n.output[0]: n for n in graph.node if is_constant(n) and n.output[0] in self._changed}
        for name, lazy in self._changed.items():
            tensor = dense[name] if name in dense else constant_tensor(constants[name], lazy)
            if tensor is not None:
                store(tensor, name, lazy, payloads)
        for value in graph.input:
            if value.name in self._changed and value.type.HasField("tensor_type"):
                _declare(value.type.tensor_type.shape, self._changed[value.name].shape)
        for name, lazy in self._added.items():
            tensor = graph.initializer.add(name=name, data_type=data_type_of(lazy.dtype))
            store(tensor, name, lazy, payloads)
            if self._document.ir_version < 4:  # there, every initializer is a graph input
                entry = graph.input.add(name=name).type.tensor_type
                entry.elem_type = tensor.data_type
                _declare(entry.shape, lazy.shape)

    def _remove_tensors(self, model: ModelProto) -> None:
        graph = model.graph
        gone = self._removed
        if gone:
            _keep(graph.initializer, lambda t: t.name not in gone)
            _keep(graph.input, lambda v: v.name not in gone)
            _keep(graph.node, lambda n: not (is_constant(n) and n.output[0] in gone))
            _keep(graph.value_info, lambda v: v.name not in gone)
        self._refuse_dangling(graph)
        known = set(_all_names(graph))
        _keep(graph.quantization_annotation, lambda a: a.tensor_name in known)

    def _refuse_dangling(self, graph: GraphProto) -> None:
        from onnxdup.graph.document import captured_names

        if not self._projected and not self._removed:
            return
        defined = {v.name for v in graph.input} | {t.name for t in graph.initializer} | {""}
        defined |= {s.values.name for s in graph.sparse_initializer}
        defined.update(o for n in graph.node for o in n.output)
        missing_before = self._document._undefined
        for node in graph.node:
            for name in (*node.input, *captured_names(node)):
                if name not in defined and name not in missing_before:
                    raise UsageError(
                        "is read but no longer exists", tensor=name, node=node.name or node.op_type
                    )
        for value in graph.output:
            if value.name not in defined and value.name not in missing_before:
                raise UsageError("is a graph output but no longer exists", tensor=value.name)

    def _store_metadata(self, model: ModelProto) -> None:
        present = {p.key: p for p in model.metadata_props}
        for key, value in self._metadata.items():
            if value is None:
                _keep(model.metadata_props, lambda p, key=key: p.key != key)
            elif key in present:
                present[key].value = value
            else:
                model.metadata_props.add(key=key, value=value)

    # -- declared shapes

    def _without_stale_shapes(self, model: ModelProto, payloads: Mapping[str, Payload]) -> Document:
        document = self._document_of(model, payloads)
        doubtful = self._doubtful(document) if model.graph.value_info else set()
        if doubtful - self._stale:
            found = confirmed(document)
            declared = {v.name: v for v in model.graph.value_info}
            doubtful = {n for n in doubtful if n in declared and not _confirms(found.get(n), declared[n])}
        stale = doubtful | self._stale
        if stale & {v.name for v in model.graph.value_info}:
            _keep(model.graph.value_info, lambda v: v.name not in stale)
            return self._document_of(model, payloads)
        return document

    def _document_of(self, model: ModelProto, payloads: Mapping[str, Payload]) -> Document:
        old = self._document
        return Document(model, payloads, old._files, old._source, edited=True)

    def _doubtful(self, document: Document) -> set[str]:
        """Values whose declared shape may be wrong now: what changed, and all that is computed from it."""
        weights = self._document.weights
        reshaped = {n for n, lazy in self._changed.items() if lazy.shape != weights.info(n).shape}
        small = {n for n, lazy in self._changed.items() if _readable(lazy)}
        found = reshaped | small | self._touched
        for node in document.nodes:  # in topological order
            if not found.isdisjoint(node.inputs) or not found.isdisjoint(node.captured):
                found.update(node.outputs)
        return found | set(self._added)


def store(tensor: TensorProto, name: str, lazy: Lazy, payloads: dict[str, Payload]) -> None:
    """Put new content into a TensorProto of the skeleton: small inline, large as a payload beside it."""
    for field in DATA_FIELDS:
        tensor.ClearField(field)
    tensor.dims[:] = lazy.shape
    payloads.pop(name, None)
    small = tensor.data_type == TensorProto.STRING or packed_size(tensor.data_type, lazy.shape) <= THRESHOLD
    if not small:
        payloads[name] = Fresh(name, lazy)
        location = [e for e in tensor.external_data if e.key == "location"]
        del tensor.external_data[:]
        tensor.external_data.extend(location)
        return
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    array = lazy.evaluate(name)
    if tensor.data_type == TensorProto.STRING:
        tensor.string_data.extend(s if isinstance(s, bytes) else str(s).encode() for s in array.reshape(-1))
    else:
        tensor.raw_data = bytes(encode(array))


def constant_tensor(node: NodeProto, lazy: Lazy) -> TensorProto | None:
    """The tensor of a `Constant` node to fill; None when the value went into a plain attribute."""
    attribute = node.attribute[0]
    if attribute.name == "value":
        return tensor_of(attribute)
    data_type = data_type_of(lazy.dtype)
    if attribute.name in ("value_floats", "value_ints") and len(lazy.shape) == 1:
        values = attribute.floats if attribute.name == "value_floats" else attribute.ints
        values[:] = lazy.evaluate(node.output[0]).tolist()
        return None
    attribute.Clear()
    attribute.name, attribute.type = "value", AttributeProto.TENSOR
    attribute.t.data_type = data_type
    return tensor_of(attribute)


def tensor_of(attribute: AttributeProto) -> TensorProto:
    """The tensor that an attribute holds."""
    tensor: TensorProto = attribute.t
    return tensor


def _readable(lazy: Lazy) -> bool:
    """Whether shape inference may read the content: then even new content of the same shape matters."""
    return lazy.dtype.kind in "iu" and len(lazy.shape) <= 1


def _confirms(found: Any, declared: Any) -> bool:
    """Whether an inferred shape agrees with a declared one in every fixed dimension."""
    from onnxdup.graph.document import read_value

    said = read_value(declared)
    if said.shape is None or said.kind != "tensor":
        return True
    if found is None or found.shape is None or len(found.shape) != len(said.shape):
        return False
    return all(not isinstance(d, int) or d == f for d, f in zip(said.shape, found.shape, strict=True))


def _declare(shape: Any, sizes: Sequence[int]) -> None:
    del shape.dim[:]
    shape.SetInParent()
    for size in sizes:
        shape.dim.add().dim_value = size


def _keep(items: Any, wanted: Any) -> None:
    """Delete the elements of a repeated field that are not wanted, in place."""
    for i in range(len(items) - 1, -1, -1):
        if not wanted(items[i]):
            del items[i]


def _all_names(graph: GraphProto) -> Iterable[str]:
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (v.name for v in values)
    yield from (s.values.name for s in graph.sparse_initializer)
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for attribute in node.attribute:
            for inner in subgraphs(attribute):
                yield from _all_names(inner)
