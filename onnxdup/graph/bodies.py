"""Subgraphs of If, Loop and Scan and local functions, for reading.

A body sees its own weights and those of the graphs around it; a function sees what each call hands it. Edits
go to the main graph only.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import FunctionProto, GraphProto, ModelProto

from onnxdup.graph.document import Document, Node, Source
from onnxdup.graph.protos import plain_domain, subgraphs

MAX_BODIES = 4096
MAX_DEPTH = 64
Functions = Mapping[tuple[str, str], FunctionProto]


class Body(Document):
    """A subgraph, or a call of a local function, as a document that cannot be edited; `weights` are its own.

    `place` is unique in the model, `owner` the node of the main graph that holds it, `function` the name of
    the innermost local function around it ('' for none). `names` maps what it reads from `outer`, the graph
    around it, to the names there; `returned` are the values that it hands back. `foreign`: a function that
    uses other operator sets than the model, or attributes of its calls.
    """

    foreign = False

    def __init__(
        self,
        graph: GraphProto,
        outer: Document,
        names: Mapping[str, str],
        place: str,
        owner: str,
        function: str,
    ) -> None:
        model = ModelProto(ir_version=outer.ir_version, opset_import=outer._model.opset_import)
        model.graph.CopyFrom(graph)
        super().__init__(model, {}, outer._files, Source(b""), edited=True)
        self.origin, self.outer, self.names = outer.origin, outer, names
        self.place, self.owner, self.function = place, owner, function
        self.returned = tuple(v.name for v in graph.output)

    def full_name(self, weight: str) -> str:
        """A name of one of its own weights that is unique in the model."""
        return f"{self.function or self.place}/{weight}"


def bodies(document: Document) -> tuple[Body, ...]:
    """All subgraphs and function calls of a model, outer before inner; at most `MAX_BODIES`."""
    functions = {(plain_domain(f.domain), f.name): f for f in document._model.functions}
    out: list[Body] = []
    _collect(document, functions, out, 0)
    return tuple(out)


def _collect(scope: Document, functions: Functions, out: list[Body], depth: int) -> None:
    if depth > MAX_DEPTH:
        return
    for node, proto in zip(scope.nodes, scope._model.graph.node, strict=True):
        called = functions.get((node.domain, node.op_type))
        held = [(a.name, g) for a in proto.attribute for g in subgraphs(a)]
        made = [_subgraph(scope, node, name, graph) for name, graph in held]
        made += [_call(scope, node, called)] if called is not None else []
        for body in made:
            if len(out) < MAX_BODIES:
                out.append(body)
                _collect(body, functions, out, depth + 1)


def _subgraph(scope: Document, node: Node, attribute: str, graph: GraphProto) -> Body:
    local = {v.name for v in graph.input} | {o for n in graph.node for o in n.output}
    names = {x: x for x in node.captured if x not in local}
    return _body(graph, scope, names, node, f".{attribute}", getattr(scope, "function", ""))


def _call(scope: Document, node: Node, function: FunctionProto) -> Body:
    names = {formal: given for formal, given in zip(function.input, node.inputs, strict=False) if given}
    body = _body(GraphProto(node=function.node), scope, names, node, "", function.name)
    body.returned = tuple(function.output)
    here = {plain_domain(o.domain): o.version for o in function.opset_import}
    body.foreign = any(scope.opset(domain) != version for domain, version in here.items())
    body.foreign |= any(a.ref_attr_name for n in function.node for a in n.attribute)
    return body


def _body(
    graph: GraphProto, scope: Document, names: Mapping[str, str], node: Node, suffix: str, function: str
) -> Body:
    place = f"{scope.place}/{node.name}{suffix}" if isinstance(scope, Body) else f"{node.name}{suffix}"
    owner = scope.owner if isinstance(scope, Body) else node.name
    return Body(graph, scope, names, place, owner, function)
