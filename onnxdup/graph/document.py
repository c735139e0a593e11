"""The document of record: one ONNX model, immutable, with its weights left on disk.

`Document` answers questions about the graph. It holds the model's protobuf without the large tensors (the
skeleton) and, for those, where their bytes are. Whatever onnxdup does not understand stays in the skeleton
and comes back as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from onnxdup.graph.external import DataFiles, is_external
from onnxdup.graph.payloads import Payload
from onnxdup.graph.protos import (
    Value,
    attribute_value,
    captured_names,
    known_sizes,
    plain_domain,
    read_value,
)
from onnxdup.graph.protos import subgraphs as subgraphs
from onnxdup.graph.tensors import decode, stored_array
from onnxdup.graph.weights import WeightStore, is_constant

if TYPE_CHECKING:
    from onnxdup.graph.bodies import Body
    from onnxdup.graph.edit import Editor


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the main graph; compared by identity."""

    index: int
    op_type: str
    domain: str  # '' is ai.onnx
    name: str  # unique: the given name or f'{op_type}_{index}', with the index where others have it
    inputs: tuple[str, ...]  # '' is an omitted optional input
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    captured: tuple[str, ...]  # values of the main graph that its subgraphs read
    inside: str = ""  # the body that holds it, '' in the main graph


class Attributes(Mapping[str, Any]):
    """Attributes of a node, decoded when asked for."""

    def __init__(self, node: NodeProto, document: Document) -> None:
        self._protos = {a.name: a for a in node.attribute}
        self._node, self._document = node, document

    def __getitem__(self, key: str) -> Any:
        attribute = self._protos[key]
        if attribute.type == AttributeProto.TENSOR and not attribute.ref_attr_name:
            if is_constant(self._node):
                return self._document.weights.array(self._node.output[0])
            return self._document._tensor(attribute.t)
        return attribute_value(attribute)

    def __iter__(self) -> Any:
        return iter(self._protos)

    def __len__(self) -> int:
        return len(self._protos)

    def __repr__(self) -> str:
        return f"Attributes({', '.join(self._protos)})"


@dataclass(frozen=True)
class Source:
    """Where a document comes from. `data` is the serialized model; `stamp` tells whether the file changed."""

    data: Any  # bytes or mmap
    path: Path | None = None
    stamp: tuple[int, ...] | None = None


class Document:
    """An ONNX model. Use `load`; `edit` for a changed copy; `write` to store it."""

    def __init__(
        self,
        model: ModelProto,
        payloads: Mapping[str, Payload],
        files: DataFiles,
        source: Source,
        *,
        edited: bool = False,
    ) -> None:
        self._model, self._payloads, self._files = model, payloads, files
        self._source, self._edited = source, edited
        self.path: Path | None = None if edited else source.path
        self.origin: Path | None = source.path  # the file it was read from, also after edits
        self.ir_version: int = model.ir_version
        self.producer: str = f"{model.producer_name} {model.producer_version}".strip()
        self.opsets: Mapping[str, int] = {plain_domain(o.domain): o.version for o in model.opset_import}
        self.metadata: Mapping[str, str] = {p.key: p.value for p in model.metadata_props}
        self.functions: tuple[str, ...] = tuple(f.name for f in model.functions)
        self.weights = WeightStore(model, payloads, files)

    def __repr__(self) -> str:
        state = " (edited)" if self._edited else ""
        return f"Document({self.origin or 'in memory'}{state}, {len(self._model.graph.node)} nodes)"

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Operators of the main graph, in file order."""
        return self._read_nodes()

    def _read_nodes(self) -> tuple[Node, ...]:
        protos = self._model.graph.node
        named = zip(protos, _names(protos), strict=True)
        return tuple(self._node(index, node, name) for index, (node, name) in enumerate(named))

    @cached_property
    def inputs(self) -> tuple[Value, ...]:
        """Graph inputs that a caller must feed: those that are no initializers."""
        names = self._initializers
        return tuple(read_value(v) for v in self._model.graph.input if v.name not in names)

    @cached_property
    def outputs(self) -> tuple[Value, ...]:
        """Graph outputs."""
        return tuple(read_value(v) for v in self._model.graph.output)

    @cached_property
    def overridable(self) -> frozenset[str]:
        """Initializers that a caller may override, since they are graph inputs (IR version 4 and later)."""
        return self._listed if self.ir_version >= 4 else frozenset()

    @cached_property
    def initializer_inputs(self) -> frozenset[str]:
        """Initializers that are graph inputs because IR version 3 demands it; they are constants."""
        return frozenset() if self.ir_version >= 4 else self._listed

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """Subgraphs and calls of local functions, for reading, outer before inner."""
        from onnxdup.graph.bodies import bodies  # deferred: bodies are documents

        return bodies(self)

    def opset(self, domain: str = "") -> int:
        """Version of an operator set, 0 when the model does not import it."""
        return self.opsets.get(plain_domain(domain), 0)

    def producer_of(self, value: str) -> Node | None:
        """The node that computes a value; None for graph inputs and initializers."""
        return self._producers.get(value)

    def consumers_of(self, value: str) -> tuple[tuple[Node, int], ...]:
        """Nodes and input slots that read a value, in node order; slot -1 when a subgraph captures it."""
        return self._consumers.get(value, ())

    def values(self, inputs: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Value]:
        """Type and shape of every value that inference or the file knows, weights included."""
        from onnxdup.graph.shapes import infer  # deferred: shapes builds on documents

        return infer(self, inputs) if inputs else dict(self._values)

    def shapes(
        self, inputs: Mapping[str, tuple[int, ...]] | None = None
    ) -> dict[str, tuple[int | None, ...]]:
        """Shapes of tensors by name, after replacing the shapes of graph inputs by `inputs`.

        Unknown and symbolic dimensions are None; values of unknown rank are left out.
        """
        known = self.values(inputs).values()
        return {v.name: known_sizes(v.shape) for v in known if v.shape is not None and v.kind == "tensor"}

    def sha256(self) -> str:
        """Hash of the file, continued over its external data files in the order of their names.

        For a model that is not a file: of its serialized form with all data inline.
        """
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        from onnxdup.graph.writer import digest

        return digest(self)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the model and its external data."""
        from onnxdup.graph.writer import size

        return size(self)

    @cached_property
    def seen_inside(self) -> frozenset[str]:
        """Values that subgraphs capture, or that local functions are given."""
        called = {name for n in self.nodes if n.op_type in self.functions for name in n.inputs}
        return frozenset(called.union(*(n.captured for n in self.nodes)))

    def with_constant_inputs(self) -> Document:
        """The same model with its overridable weights as constants; the same document where it has none."""
        editor = self.edit()
        editor.fix_inputs()
        return editor.finish()

    def edit(self) -> Editor:
        """Collect changes; `finish` gives a new document."""
        from onnxdup.graph.edit import Editor  # deferred: loads graphsurgeon

        return Editor(self)

    @cached_property
    def _initializers(self) -> frozenset[str]:
        graph = self._model.graph
        dense = (t.name for t in graph.initializer)
        return frozenset([*dense, *(s.values.name for s in graph.sparse_initializer)])

    @cached_property
    def _listed(self) -> frozenset[str]:
        return self._initializers & {v.name for v in self._model.graph.input}

    @cached_property
    def _undefined(self) -> frozenset[str]:
        """Names that are read though nothing defines them, in a file that is invalid from the start."""
        graph = self._model.graph
        defined = {"", *self._initializers, *self._producers, *(v.name for v in graph.input)}
        return frozenset([*self._consumers, *(v.name for v in graph.output)]) - defined

    @cached_property
    def _producers(self) -> dict[str, Node]:
        return {o: node for node in self.nodes for o in node.outputs if o}

    @cached_property
    def _consumers(self) -> dict[str, tuple[tuple[Node, int], ...]]:
        uses: dict[str, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for slot, name in enumerate(node.inputs):
                if name:
                    uses.setdefault(name, []).append((node, slot))
            for name in node.captured:
                uses.setdefault(name, []).append((node, -1))
        return {name: tuple(found) for name, found in uses.items()}

    @cached_property
    def _values(self) -> dict[str, Value]:
        from onnxdup.graph.shapes import infer

        return infer(self, None)

    def _node(self, index: int, node: NodeProto, name: str) -> Node:
        return Node(
            index=index,
            op_type=node.op_type,
            domain=plain_domain(node.domain),
            name=name,
            inputs=tuple(node.input),
            outputs=tuple(node.output),
            attrs=Attributes(node, self),
            captured=captured_names(node),
        )

    def _tensor(self, tensor: TensorProto) -> Any:
        if is_external(tensor):
            return decode(self._files.payload(tensor).read(), tensor.data_type, tuple(tensor.dims))
        return stored_array(tensor)


def _names(nodes: Iterable[NodeProto]) -> Iterator[str]:
    """One name per node. Files need not name their nodes, and some name several alike."""
    given = {node.name for node in nodes}
    taken: set[str] = set()
    for index, node in enumerate(nodes):
        name = node.name or f"{node.op_type}_{index}"
        while name in taken or (not node.name and name in given):
            name += f"_{index}"
        taken.add(name)
        yield name
