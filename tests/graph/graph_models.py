"""Small models for the tests of the graph layer, and ways to look at them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxdup.graph import Document, parse
from onnxdup.graph.serial import stream
from onnxdup.graph.writer import inline_parts

HIDDEN = 64


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def mlp(header: str = "") -> Document:
    """8 -> 64 ReLU -> 4; W1 and W2 are above the 1 KiB that stays in the skeleton, b1 is below."""
    text = """mlp (float[N,8] x) => (float[N,4] y) <float[N,64] h, float[N,64] r> {
        h = Gemm <transB = 1> (x, W1, b1)
        r = Relu (h)
        y = MatMul (r, W2)
    }"""
    weights = {"W1": random(HIDDEN, 8), "b1": random(HIDDEN, seed=1), "W2": random(HIDDEN, 4, seed=2)}
    return parse(header + text, **weights)


def narrowed(document: Document, keep: list[int]) -> Document:
    """The MLP with only some of its hidden neurons."""
    editor = document.edit()
    array = document.weights.array
    editor.set_tensor("W1", array("W1")[keep])
    editor.set_tensor("b1", array("b1")[keep])
    editor.set_tensor("W2", array("W2")[keep])
    return editor.finish()


def proto(document: Document) -> ModelProto:
    """The whole model as a protobuf, data inline."""
    return ModelProto.FromString(serialized(document))


def serialized(document: Document) -> bytes:
    return b"".join(bytes(chunk) for chunk in stream(inline_parts(document)))


def run(model: Document | ModelProto | Path, feeds: Mapping[str, Any]) -> list[Any]:
    """Outputs by onnx's reference implementation."""
    if isinstance(model, Document):
        model = proto(model)
    return list(ReferenceEvaluator(str(model) if isinstance(model, Path) else model).run(None, dict(feeds)))


def tensor_model(tensor: TensorProto, ir_version: int = 10) -> ModelProto:
    """A model that returns its only initializer, which is called W."""
    tensor.name = "W"
    output = helper.make_tensor_value_info("y", tensor.data_type, list(tensor.dims))
    graph = helper.make_graph([helper.make_node("Identity", ["W"], ["y"])], "g", [], [output], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=ir_version)


def external_model(
    folder: Path, entries: Mapping[str, str] | None = None, *, data: bytes | None = None
) -> tuple[Path, np.ndarray]:
    """model.onnx with one external tensor W (16 x 32) in weights.bin; `entries` replace the right ones."""
    values = random(16, 32)
    tensor = TensorProto(name="W", dims=values.shape, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    right = {"location": "weights.bin", "offset": "0", "length": str(values.nbytes)}
    for key, value in {**right, **(entries or {})}.items():
        tensor.external_data.add(key=key, value=value)
    (folder / "weights.bin").write_bytes(values.tobytes() if data is None else data)
    path = folder / "model.onnx"
    path.write_bytes(tensor_model(tensor).SerializeToString())
    return path, values


def rich_model() -> ModelProto:
    """A model with everything that other tools lose: all of it must survive an edit of W1."""
    model = proto(mlp())
    model.domain, model.model_version, model.doc_string = "org.example", 7, "a model"
    model.producer_name, model.producer_version = "maker", "1.2"
    model.metadata_props.add(key="task", value="demo")
    graph = model.graph
    graph.doc_string = "a graph"
    graph.metadata_props.add(key="graph", value="kept")
    graph.node[0].doc_string, graph.node[0].name = "first layer", "fc1"
    graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'fc1']")
    graph.node[0].attribute[0].doc_string = "transposed"
    graph.input[0].doc_string = "pixels"
    graph.input[0].type.denotation = "IMAGE"
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    graph.initializer[0].doc_string = "weight of the first layer"
    graph.initializer[0].metadata_props.add(key="origin", value="fc1.weight")
    graph.initializer.append(numpy_helper.from_array(random(3), "unused"))
    note = graph.quantization_annotation.add(tensor_name="W1")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    sparse = graph.sparse_initializer.add(dims=[5])
    sparse.values.CopyFrom(numpy_helper.from_array(np.array([1.0], np.float32), "sparse"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([2], np.int64), "indices"))
    info = model.training_info.add()
    info.algorithm.name = "sgd"
    info.algorithm.node.append(helper.make_node("Identity", ["W1"], ["W1_new"]))
    function = model.functions.add(name="Twice", domain="org.example", input=["a"], output=["b"])
    function.node.append(helper.make_node("Add", ["a", "a"], ["b"]))
    function.opset_import.append(helper.make_opsetid("", 20))
    function.metadata_props.add(key="function", value="kept")
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    graph.node.append(helper.make_node("Twice", ["y"], ["twice"], domain="org.example", name="call"))
    graph.output.append(helper.make_tensor_value_info("twice", TensorProto.FLOAT, ["N", 4]))
    graph.node.append(helper.make_node("Blob", ["x"], ["blob"], domain="org.example", name="custom"))
    blob = graph.node[-1]
    blob.attribute.append(onnx.AttributeProto(name="none", type=onnx.AttributeProto.INTS))
    blob.attribute.append(onnx.AttributeProto(name="raw", type=onnx.AttributeProto.STRING, s=b"\xff\xfe"))
    blob.attribute.append(helper.make_attribute("number", float("nan")))
    return model
