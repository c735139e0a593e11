"""Types and shapes of all values: ONNX shape inference on a copy of the model that has no large tensors.

On 500 MB of weights that takes 0.02 s instead of 9 s, and nothing is lost: inference only ever reads small
tensors and integer vectors (target shapes, axes, indices), and those are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from google.protobuf.message import Error as ProtobufError
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, checker, shape_inference

from onnxdup.errors import UsageError
from onnxdup.graph.external import external_tensors
from onnxdup.graph.legacy import declare_legacy
from onnxdup.graph.order import copied, is_sorted, stable_sort
from onnxdup.graph.payloads import Payload
from onnxdup.graph.protos import Value, declare_shape, plain_domain, read_value
from onnxdup.graph.tensors import data_type_of
from onnxdup.graph.weights import TensorInfo, is_constant
from onnxdup.graph.wire import THRESHOLD

if TYPE_CHECKING:
    from onnxdup.graph.document import Document

_READABLE = 1 << 16  # bytes of an integer vector that inference may want to read
_LONGEST = 1 << 16  # elements of a value that inference may compute
_UNNAMED = 6  # the operator set of a file that names none
_FAILURES = (
    UsageError,
    shape_inference.InferenceError,
    checker.ValidationError,
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    MemoryError,
    ProtobufError,
)


def infer(document: Document, inputs: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Value]:
    """Everything known about the values of the main graph, weights included.

    `inputs` replaces the shapes of graph inputs; then the shapes that the file declares for other values are
    not believed. A model that inference cannot handle gives what the file declares. UsageError for an unknown
    input.
    """
    model = _versioned(light_model(document))
    if inputs:
        _override(document, model, inputs)
    return _collect(document, _infer(model) or _infer(without_declared_shapes(model)) or model)


def confirmed(document: Document) -> dict[str, Value]:
    """What inference finds without believing the declared shapes of intermediate values; {} when it fails."""
    found = _infer(without_declared_shapes(_versioned(light_model(document))))
    return _collect(document, found) if found is not None else {}


def _versioned(model: ModelProto) -> ModelProto:
    """The same model (changed in place) with an operator set where it names none: an old one."""
    if not any(plain_domain(o.domain) == "" for o in model.opset_import):
        model.opset_import.add(version=_UNNAMED)
    return model


def light_model(document: Document) -> ModelProto:
    """A copy of the model that is valid by itself: large weights have become graph inputs."""
    model = ModelProto()
    model.CopyFrom(document._model)
    del model.training_info[:]
    _forget_negative_sizes(model.graph)
    large = {name for name in document.weights if _is_large(document.weights.info(name))}
    graph = model.graph
    listed = {v.name for v in graph.input}
    for i in range(len(graph.initializer) - 1, -1, -1):
        tensor = graph.initializer[i]
        if tensor.name not in large:
            _fill(tensor, document.weights.payload(tensor.name))
            continue
        if tensor.name not in listed:
            _add_input(graph, document.weights.info(tensor.name))
        del graph.initializer[i]
    for i in range(len(graph.node) - 1, -1, -1):
        node = graph.node[i]
        if not is_constant(node) or node.output[0] not in document.weights:
            continue
        if node.output[0] in large:
            _add_input(graph, document.weights.info(node.output[0]))
            del graph.node[i]
        elif node.attribute[0].HasField("t"):
            _fill(node.attribute[0].t, document.weights.payload(node.output[0]))
    for tensor in external_tensors(model):  # in subgraphs and functions
        _fill(tensor, document._files.payload(tensor))
    return model


def _forget_negative_sizes(graph: GraphProto) -> None:
    """Inference in onnx aborts the process for some of them."""
    for values in (graph.input, graph.output, graph.value_info):
        for value in values:
            for dim in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
                if dim.dim_value < 0:
                    dim.ClearField("dim_value")


def _is_large(info: TensorInfo) -> bool:
    """Whether nothing is lost when inference cannot read this weight."""
    if info.storage == "sparse" or info.dtype.kind == "O" or info.nbytes <= THRESHOLD:
        return False
    return len(info.shape) > 1 or info.nbytes > _READABLE or info.dtype.kind not in "iub"


def _fill(tensor: TensorProto, payload: Payload | None) -> None:
    if payload is not None:
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = bytes(payload.read())


def _add_input(graph: GraphProto, info: TensorInfo) -> None:
    value = graph.input.add(name=info.name).type.tensor_type
    value.elem_type = data_type_of(info.dtype)
    declare_shape(value.shape, info.shape)


def _override(document: Document, model: ModelProto, inputs: Mapping[str, tuple[int, ...]]) -> None:
    known = [v.name for v in document.inputs]
    for name in inputs:
        if name not in known:
            raise UsageError(
                f"has no input {name!r}", file=document.origin, remedy=f"it has {', '.join(known)}"
            )
    for value in model.graph.input:
        if value.name in inputs:
            declare_shape(value.type.tensor_type.shape, inputs[value.name])
    without_declared_shapes(model)


def without_declared_shapes(model: ModelProto) -> ModelProto:
    """The same model (changed in place) without `value_info` and output shapes; element types stay."""
    for values in (model.graph.value_info, model.graph.output):
        for value in values:
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")
    return model


def _infer(model: ModelProto) -> ModelProto | None:
    try:
        _sort(model)
        found = shape_inference.infer_shapes(model, data_prop=not _explodes(model))
        while declare_legacy(found.graph):
            found = shape_inference.infer_shapes(found, data_prop=not _explodes(model))
        return found
    except _FAILURES:  # an invalid or unknown construct: the caller falls back to less
        return None


def _explodes(model: ModelProto) -> bool:
    """Whether values that inference computes could become very long: Concat(x, x) of Concat(x, x) of ..."""
    if not any(node.op_type == "Concat" for node in model.graph.node):
        return False
    plain = shape_inference.infer_shapes(model)
    values = (plain.graph.input, plain.graph.output, plain.graph.value_info)
    sizes = {v.name: _sizes(v) for part in values for v in part}
    sizes |= {t.name: tuple(t.dims) for t in plain.graph.initializer}
    length: dict[str, int] = {}  # of vectors; whatever has more axes is not computed
    for node in plain.graph.node:
        known = [length.get(name, _length(sizes.get(name))) for name in node.input]
        bound = sum(known) if node.op_type == "Concat" else max(known, default=0)
        if node.op_type == "Concat" and bound > _LONGEST:
            return True
        for name in node.output:
            found = sizes.get(name)
            length[name] = bound if found is None else _length(found)
    return False


def _sizes(value: ValueInfoProto) -> tuple[int, ...] | None:
    shape = value.type.tensor_type.shape
    known = value.type.tensor_type.HasField("shape")
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in shape.dim) if known else None


def _length(sizes: tuple[int, ...] | None) -> int:
    """Elements of a vector or scalar, 1 where it is not known."""
    if sizes is not None and len(sizes) > 1:
        return 0
    return max(sizes[0], 1) if sizes else 1


def _sort(model: ModelProto) -> None:
    """Bring the nodes of an invalid file into topological order, since inference refuses any other."""
    if not is_sorted(model.graph.node):
        nodes = [copied(n) for n in stable_sort(model.graph.node)]
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _collect(document: Document, model: ModelProto) -> dict[str, Value]:
    graph = model.graph
    values: dict[str, Value] = {}
    declared: Iterable[ValueInfoProto]
    for declared in (graph.value_info, graph.input, graph.output):
        values.update((v.name, read_value(v)) for v in declared)
    for name in document.weights:
        info = document.weights.info(name)
        values[name] = Value(name, info.dtype, info.shape, "sparse" if info.storage == "sparse" else "tensor")
    return values
