"""Copies of a document that show intermediate values: as further graph outputs, or by their shapes alone."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from onnxdup.errors import UsageError
from onnxdup.graph.document import Document

SHAPE_PREFIX = "onnxdup_shape_of:"


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
