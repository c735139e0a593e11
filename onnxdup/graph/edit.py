"""Edits of a document, collected; `splice` brings them into a copy of the protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from onnxdup.errors import Bug, UsageError
from onnxdup.graph.document import Document, Node
from onnxdup.graph.payloads import Lazy
from onnxdup.graph.protos import all_names
from onnxdup.graph.splice import Changes, spliced
from onnxdup.graph.tensors import Array
from onnxdup.graph.weights import TensorInfo

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnxdup.graph.projection import Projection


class Editor:
    """Collects changes to a document, which itself never changes. Nothing happens before `finish`."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._changes = Changes()

    @property
    def projection(self) -> Projection:
        """The graphsurgeon projection, made when first needed."""
        if self._changes.projection is None:
            from onnxdup.graph.projection import Projection  # deferred: loads graphsurgeon

            self._changes.projection = Projection(self._document)
        return self._changes.projection

    @property
    def graph(self) -> gs.Graph:
        """The weight-free graphsurgeon graph, to be navigated and rewired (nodes compared by identity)."""
        return self.projection.graph

    def set_tensor(self, name: str, array: Array | Lazy) -> None:
        """Give a weight new content, perhaps of another shape; its element type stays.

        UsageError when there is no such weight, it is sparse, or its shape is part of the model's interface
        (an overridable initializer, a graph output) and would change.
        """
        if name in self._changes.added:
            self._changes.added[name] = Lazy.of(array, name, self._changes.added[name].dtype)
            return
        info = self._weight(name)
        new = Lazy.of(array, name, info.dtype)
        if new.shape != info.shape:
            self._refuse_public(name, "its shape cannot change")
        self._changes.changed[name] = new

    def add_tensor(self, name_hint: str, array: Array | Lazy) -> str:
        """Add an initializer; returns its name, which is `name_hint` or that with a number."""
        name = self.fresh_name(name_hint)
        self._changes.added[name] = Lazy.of(array, name)
        return name

    def remove_tensor(self, name: str) -> None:
        """Remove a weight. `finish` refuses when something still reads it."""
        if self._changes.added.pop(name, None) is not None:
            return
        self._weight(name)
        self._refuse_public(name, "it cannot be removed")
        self._changes.changed.pop(name, None)
        self._changes.removed.add(name)

    def set_attr(self, node: Node, key: str, value: Any) -> None:
        """Give an attribute a value, in the type that the node or the schema has; None removes it."""
        self._mine(node)
        self.projection.set_attr(node, key, value)
        self._changes.touched.update(node.outputs)

    def set_input(self, node: Node, slot: int, name: str) -> None:
        """Make a node read another value; `slot == len(inputs)` appends, '' omits."""
        self._mine(node)
        self.projection.set_input(node, slot, name)
        self._changes.touched.update(node.outputs)

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
        made = self._made(node, op_type, inputs, outputs, attrs, domain, after=True)
        if output_slot is not None:
            old = node.outputs[output_slot]
            self.projection.divert(node, output_slot, made, self.fresh_name(f"{old}_{node.op_type}"))
            self._changes.touched.add(old)
        names = tuple(t.name for t in made.outputs)
        self._changes.touched.update(names)
        return names

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
        made = self._made(node, op_type, inputs, outputs, attrs, domain, after=False)
        return tuple(t.name for t in made.outputs)

    def remove_node(self, node: Node) -> None:
        """Remove an operator. `finish` refuses when something still reads its outputs."""
        self._mine(node)
        self.projection.remove(node)

    def fix_inputs(self, names: Iterable[str] | None = None) -> None:
        """Make overridable weights (all, or these) constants: they leave the graph inputs, nothing else
        changes.

        UsageError for a name that callers could not override.
        """
        chosen = self._document.overridable if names is None else frozenset(names)
        for name in chosen - self._document.overridable:
            raise UsageError("is no weight that callers can override", tensor=name)
        self._changes.fixed.update(chosen)

    def drop_value_info(self, names: Iterable[str]) -> None:
        """Forget the declared shapes of these values."""
        self._changes.stale.update(names)

    def set_metadata(self, values: Mapping[str, str | None]) -> None:
        """Set entries of the model's metadata; None removes one."""
        self._changes.metadata.update(values)

    def fresh_name(self, hint: str) -> str:
        """A name that nothing in the model has, subgraphs included; reserved from now on."""
        name, number = hint or "value", 1
        while name in self._names:
            name, number = f"{hint or 'value'}_{number}", number + 1
        self._names.add(name)
        return name

    def finish(self) -> Document:
        """The changed document; the same one when nothing was changed."""
        return spliced(self._document, self._changes) if self._changes else self._document

    @cached_property
    def _names(self) -> set[str]:
        return set(all_names(self._document._model.graph))

    def _weight(self, name: str) -> TensorInfo:
        if name not in self._document.weights or name in self._changes.removed:
            raise UsageError("is no weight of this model", tensor=name, file=self._document.origin)
        info = self._document.weights.info(name)
        if info.storage == "sparse":
            raise UsageError("is sparse and cannot be edited", tensor=name, file=self._document.origin)
        return info

    def _refuse_public(self, name: str, consequence: str) -> None:
        if name in self._document.overridable:
            raise UsageError(f"callers may override this weight, so {consequence}", tensor=name)
        if any(v.name == name for v in self._document.outputs):
            raise UsageError(f"this weight is a graph output, so {consequence}", tensor=name)

    def _mine(self, node: Node) -> None:
        nodes = self._document.nodes
        if node.index >= len(nodes) or nodes[node.index] is not node:
            raise Bug("this node belongs to another document", node=node.name)

    def _made(
        self,
        near: Node,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attrs: Mapping[str, Any] | None,
        domain: str,
        *,
        after: bool,
    ) -> gs.Node:
        self._mine(near)
        tensor = self.projection.tensor
        return self.projection.insert(
            near,
            after=after,
            op=op_type,
            name=self.fresh_name(f"{near.name}_{op_type}"),
            attrs=dict(attrs or {}),
            inputs=[tensor(name) for name in inputs],
            outputs=[tensor(self.fresh_name(name) if name else "") for name in outputs],
            domain=domain or None,
        )
