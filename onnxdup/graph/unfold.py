"""A body as if it stood in the graph around it: names unique in the model, shapes of what it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnx import GraphProto, ModelProto

from onnxdup.graph.bodies import Body
from onnxdup.graph.document import Node
from onnxdup.graph.protos import captured_names, declare_shape, known_sizes, read_value
from onnxdup.graph.shapes import _infer, light_model, without_declared_shapes
from onnxdup.graph.tensors import data_type_of

LOCAL = "\0"
"""Starts the names of what a body computes: no value of a graph has it."""


class Unfolded(Body):
    """A body whose own values have names that no other graph uses, and the names around it for the rest.

    `base` is the index of its first node; `returned` are the values it hands back, `declared` those for which
    it states a shape.
    """

    def __init__(self, body: Body, base: int) -> None:
        graph = GraphProto()
        graph.CopyFrom(body._model.graph)
        self._given, self._place = dict(body.names), body.place
        self._inner = [captured_names(node) for node in graph.node]
        self.declared = frozenset(self.full(v.name) for v in graph.value_info if v.type.WhichOneof("value"))
        _rename(graph, self.full)
        names = {given: given for given in body.names.values()}
        super().__init__(graph, body.outer, names, body.place, body.owner, body.function)
        self.base = base
        self.returned = tuple(self.full(name) for name in body.returned)

    def full(self, name: str) -> str:
        """The unique name of a value that the body calls `name`."""
        return self._given.get(name, f"{LOCAL}{self._place}/{name}") if name else ""

    def _read_nodes(self) -> tuple[Node, ...]:
        return tuple(
            replace(
                node,
                index=self.base + node.index,
                name=f"{self._place}/{node.name}",
                captured=tuple(self.full(x) for x in inner),
                inside=self._place,
            )
            for node, inner in zip(super()._read_nodes(), self._inner, strict=True)
        )


def _rename(graph: GraphProto, full: object) -> None:
    assert callable(full)
    for node in graph.node:
        node.input[:] = [full(x) for x in node.input]
        node.output[:] = [full(x) for x in node.output]
    for values in (graph.input, graph.output, graph.initializer):
        for value in values:
            value.name = full(value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = full(sparse.values.name)
    del graph.value_info[:]


def inner_shapes(body: Unfolded, around: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Fully known shapes of what a body computes, from the shapes of the values around it. Nothing that the
    body declares is believed.
    """
    model = light_model(body)
    _declare(model, body, around)
    found = _infer(without_declared_shapes(model))
    if found is None:
        return {}
    values = [read_value(v) for part in (found.graph.value_info, found.graph.output) for v in part]
    known = {v.name: known_sizes(v.shape) for v in values if v.shape is not None and v.kind == "tensor"}
    return {name: tuple(d for d in s if d is not None) for name, s in known.items() if None not in s}


def _declare(model: ModelProto, body: Unfolded, around: Mapping[str, tuple[int, ...]]) -> None:
    """Captured values become inputs; those that the body gets anew each time have no known shape."""
    for value in model.graph.input:
        value.type.tensor_type.ClearField("shape")
    outer = body.outer.values()
    for given in body.names:
        held = outer.get(given)
        if held is None or held.dtype is None or given not in around:
            continue
        kind = model.graph.input.add(name=given).type.tensor_type
        kind.elem_type = data_type_of(held.dtype)
        declare_shape(kind.shape, around[given])
