"""Copies of a document for running it: with intermediate values as outputs, with their shapes, with fixed
seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from onnxdup.errors import UsageError
from onnxdup.graph.document import Document, subgraphs

SHAPE_PREFIX = "onnxdup_shape_of:"
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


def with_outputs(document: Document, names: Iterable[str]) -> Document:
    """A copy whose graph outputs also include the values `names` of the main graph (untyped: the runtime
    infers).
    """
    model = _copy(document)
    present = {o.name for o in model.graph.output}
    wanted = [name for name in dict.fromkeys(names) if name not in present]
    _require(document, wanted)
    model.graph.output.extend(ValueInfoProto(name=name) for name in wanted)
    return _wrap(document, model)


def with_shape_outputs(document: Document, names: Iterable[str]) -> Document:
    """A copy whose only outputs are the shapes of the tensors `names`, each as `SHAPE_PREFIX` + name.

    A run of it keeps no activation longer than the graph itself does.
    """
    model = _copy(document)
    wanted = list(dict.fromkeys(names))
    _require(document, wanted)
    del model.graph.output[:]
    for name in wanted:
        shape = SHAPE_PREFIX + name
        model.graph.node.append(helper.make_node("Shape", [name], [shape], name=shape))
        model.graph.output.append(helper.make_tensor_value_info(shape, TensorProto.INT64, None))
    if all(o.domain not in ("", "ai.onnx") for o in model.opset_import):
        model.opset_import.add(domain="", version=13)
    return _wrap(document, model)


def random_nodes(document: Document) -> tuple[str, ...]:
    """Names of the nodes (subgraphs and functions included) that draw random numbers without a seed."""
    return tuple(node.name or node.op_type for node in _unseeded(document._model))


def with_seeds(document: Document, seed: float = 1.0) -> Document:
    """A copy in which every unseeded random node has a seed: `seed`, `seed` + 1, … in order of the file.

    Sessions of such copies draw the same numbers from their first run on.
    """
    model = _copy(document)
    for index, node in enumerate(_unseeded(model)):
        node.attribute.append(helper.make_attribute("seed", seed + index))
    return _wrap(document, model)


def _unseeded(model: ModelProto) -> list[NodeProto]:
    nodes = [*_all_nodes(model.graph), *(n for f in model.functions for n in f.node)]
    return [
        n
        for n in nodes
        if n.op_type in _RANDOM
        and n.domain in ("", "ai.onnx")
        and not any(a.name == "seed" for a in n.attribute)
    ]


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in subgraphs(attribute):
                yield from _all_nodes(inner)


def _copy(document: Document) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(document._model)
    return model


def _wrap(document: Document, model: ModelProto) -> Document:
    return Document(model, document._payloads, document._files, document._source, edited=True)


def _require(document: Document, names: list[str]) -> None:
    known = {v.name for v in document.inputs} | set(document.weights) | document.overridable
    known |= document.initializer_inputs
    for name in names:
        if name not in known and document.producer_of(name) is None:
            raise UsageError("the graph has no such value", file=document.origin, tensor=name)
