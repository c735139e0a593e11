"""After a merge everything that it does not concern is identical, field by field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnxdup.graph import load, write
from onnxdup.reduce import merge

TEXT = """<ir_version: {ir}, opset_import: ["": {opset}, "local": 1, "com.example": 3],
  producer_name: "maker", producer_version: "7", model_version: 42, doc_string: "what it is">
g (float[N,12] x) => (float[N,4] y, float[N,8] side) {{
  a=Gemm<transB=1>(x,w1,b1)
  r=Relu(a)
  k=Gemm<transB=1>(r,w2,b2)
  c=local.twice(k)
  y=Identity(c)
  side=Gemm<transB=1>(x,w3,b3)
}}
<domain: "local", opset_import: ["": {opset}]> twice (v) => (z) {{ z=Add(v,v) }}
"""
TOUCHED = {"w1", "b1", "w2"}
CHANGED = {"a", "r"}


def rich(ir: int = 10, opset: int = 17) -> onnx.ModelProto:
    """A model with something in every corner; hidden channel 3 copies channel 0."""
    model = parser.parse_model(TEXT.format(ir=ir, opset=opset))
    rng = np.random.default_rng(0)
    shapes = {
        "w1": (8, 12),
        "b1": (8,),
        "w2": (4, 8),
        "b2": (4,),
        "w3": (8, 12),
        "b3": (8,),
        "unused": (2, 3),
    }
    arrays = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    for name in ("w1", "b1"):
        arrays[name][3] = arrays[name][0]
    for name, array in arrays.items():
        tensor = numpy_helper.from_array(array, name)
        tensor.doc_string = f"about {name}"
        model.graph.initializer.append(tensor)
        if ir < 4:
            model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    _decorate(model, ir)
    onnx.checker.check_model(model)
    return model


def _decorate(model: onnx.ModelProto, ir: int) -> None:
    graph = model.graph
    graph.doc_string = "the graph"
    model.domain = "org.example"
    prop(model, "author", "someone")
    for index, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{index}", f"node {index}"
    for name, shape in {"a": ("N", 8), "r": ("N", 8), "k": ("N", 4), "c": ("N", 4), "w1": (8, 12)}.items():
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape, f"value {name}")
        value.type.denotation = "TENSOR"
        graph.value_info.append(value)
    for name in ("w1", "w3", "x"):
        annotation = graph.quantization_annotation.add(tensor_name=name)
        annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="b2")
    graph.input[0].doc_string = "the input"
    graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    if ir < 10:
        return
    for part in (graph, *graph.node, graph.input[0], graph.output[0], graph.initializer[4], *model.functions):
        prop(part, "origin", "here")
    values = numpy_helper.from_array(np.array([1.5], np.float32), "sparse")
    indices = numpy_helper.from_array(np.array([2], np.int64), "")
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [5]))
    step = helper.make_graph([], "step", [], [helper.make_tensor_value_info("n", TensorProto.FLOAT, ())])
    step.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "n"))
    info = model.training_info.add()
    info.algorithm.CopyFrom(step)
    info.update_binding.add(key="b2", value="n")


def prop(owner: onnx.ModelProto, key: str, text: str) -> None:
    """One metadata entry."""
    owner.metadata_props.add(key=key, value=text)


def small_of(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The merged model as written."""
    reduction = merge(load(model))
    assert reduction.removed == 1
    return onnx.load(write(reduction.document, folder / "small.onnx")[0])


def named(items: object, attribute: str = "name") -> dict[str, bytes]:
    """Protobuf messages by name."""
    return {getattr(i, attribute): i.SerializeToString(deterministic=True) for i in items}  # type: ignore[attr-defined]


FORMS = [pytest.param(10, 17, id="ir10"), pytest.param(8, 17, id="ir8"), pytest.param(3, 8, id="ir3")]


@pytest.mark.parametrize(("ir", "opset"), FORMS)
def test_outside_the_graph_nothing_changes(tmp_path: Path, ir: int, opset: int) -> None:
    model = rich(ir, opset)
    small = small_of(model, tmp_path)
    for each in (model, small):
        each.ClearField("graph")
    assert small.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


@pytest.mark.parametrize(("ir", "opset"), FORMS)
def test_in_the_graph_only_the_merged_tensors_change(tmp_path: Path, ir: int, opset: int) -> None:
    model = rich(ir, opset)
    small = small_of(model, tmp_path)
    before, after = model.graph, small.graph
    assert list(after.node) == list(before.node)
    assert list(after.output) == list(before.output)
    assert list(after.quantization_annotation) == list(before.quantization_annotation)
    assert list(after.sparse_initializer) == list(before.sparse_initializer)
    assert [t.name for t in after.initializer] == [t.name for t in before.initializer]
    old, new = named(before.initializer), named(after.initializer)
    assert {n for n in old if old[n] != new[n]} == TOUCHED
    for field in ("name", "doc_string", "metadata_props"):
        assert getattr(after, field) == getattr(before, field)


@pytest.mark.parametrize(("ir", "opset"), FORMS)
def test_of_a_merged_tensor_only_data_and_dims_change(tmp_path: Path, ir: int, opset: int) -> None:
    model = rich(ir, opset)
    small = small_of(model, tmp_path)
    for old, new in zip(model.graph.initializer, small.graph.initializer, strict=True):
        for tensor in (old, new):
            tensor.ClearField("raw_data")
            tensor.ClearField("dims")
        assert old == new


@pytest.mark.parametrize(("ir", "opset"), FORMS)
def test_stale_shapes_go_and_others_stay(tmp_path: Path, ir: int, opset: int) -> None:
    model = rich(ir, opset)
    small = small_of(model, tmp_path)
    old, new = named(model.graph.value_info), named(small.graph.value_info)
    assert set(old) - set(new) == {*CHANGED, "w1"}
    assert all(old[name] == new[name] for name in new)


def test_inputs_keep_their_types(tmp_path: Path) -> None:
    model = rich()
    assert list(small_of(model, tmp_path).graph.input) == list(model.graph.input)


def test_at_ir_3_the_declared_shape_of_a_weight_follows(tmp_path: Path) -> None:
    model = rich(3, 8)
    small = small_of(model, tmp_path)
    assert [v.name for v in small.graph.input] == [v.name for v in model.graph.input]
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in small.graph.input}
    assert {n: shapes[n] for n in TOUCHED} == {"w1": (7, 12), "b1": (7,), "w2": (4, 7)}
    old, new = named(model.graph.input), named(small.graph.input)
    assert {n for n in old if old[n] != new[n]} == TOUCHED
    onnx.checker.check_model(small, full_check=False)
