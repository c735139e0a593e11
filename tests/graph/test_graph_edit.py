"""Edits: what changes, and above all what does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from graph_models import mlp, narrowed, proto, random, rich_model, run
from onnx import ModelProto, TensorProto, helper

from onnxdup.errors import Bug, UsageError
from onnxdup.graph import Document, Lazy, check, load, parse, write

X = {"x": random(5, 8, seed=9)}


def session(document: Document, folder: Path) -> np.ndarray:
    path = write(document, folder / "run.onnx")[0]
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, X)[0]


def without(model: ModelProto, *paths: str) -> ModelProto:
    """A copy less some fields of its graph."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for path in paths:
        copy.graph.ClearField(path)
    return copy


def test_no_op_and_real_edit_by_onnxruntime_and_the_reference(tmp_path: Path) -> None:
    document = mlp()
    expected = run(document, X)[0]
    editor = document.edit()
    assert editor.graph is not None
    assert np.array_equal(run(editor.finish(), X)[0], expected)
    order = list(np.random.default_rng(3).permutation(64))
    permuted = narrowed(document, order)
    check(permuted)
    np.testing.assert_allclose(run(permuted, X)[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(session(permuted, tmp_path), expected, rtol=1e-4, atol=1e-5)


def test_narrowing_gives_a_valid_model(tmp_path: Path) -> None:
    small = narrowed(mlp(), [1, 2, 3])
    check(small)
    assert session(small, tmp_path).shape == (5, 4)
    assert small.weights.info("W1").shape == (3, 8)


def test_the_original_never_changes() -> None:
    document = mlp()
    before = proto(document).SerializeToString(deterministic=True)
    editor = document.edit()
    editor.set_attr(document.nodes[0], "alpha", 2.0)
    editor.insert_after(document.nodes[1], "Neg", ["r"], ["n"])
    editor.remove_tensor("b1")
    editor.set_input(document.nodes[0], 2, "")
    editor.finish()
    assert proto(document).SerializeToString(deterministic=True) == before


def test_everything_else_survives_an_edit() -> None:
    model = rich_model()
    document = load(model)
    editor = document.edit()
    editor.set_tensor("W1", document.weights.array("W1") + 1)
    editor.set_attr(document.nodes[2], "note", "touched")
    after = proto(editor.finish())
    tensors = {t.name: t for t in after.graph.initializer}
    tensors["W1"].raw_data = document.weights.array("W1").tobytes()
    del after.graph.node[2].attribute[:]
    assert after.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_a_touched_node_keeps_what_belongs_to_it() -> None:
    model = rich_model()
    document = load(model)
    editor = document.edit()
    editor.set_attr(document.nodes[0], "transB", 0)
    node = proto(editor.finish()).graph.node[0]
    assert (node.doc_string, node.attribute[0].doc_string, node.attribute[0].i) == (
        "first layer",
        "transposed",
        0,
    )
    assert node.metadata_props[0].key == "pkg.torch.onnx.name_scopes"


def test_attribute_types_follow_the_node_and_the_schema() -> None:
    document = mlp()
    editor = document.edit()
    editor.set_attr(document.nodes[0], "alpha", 1)
    editor.set_attr(document.nodes[0], "transB", np.int64(0))
    editor.set_attr(document.nodes[0], "transA", True)
    attributes = {a.name: a for a in proto(editor.finish()).graph.node[0].attribute}
    assert (attributes["alpha"].type, attributes["alpha"].f) == (1, 1.0)
    assert [attributes[k].type for k in ("transA", "transB")] == [2, 2]


def test_a_wrong_attribute_is_a_usage_error() -> None:
    document = mlp()
    editor = document.edit()
    editor.set_attr(document.nodes[0], "alpha", "big")
    with pytest.raises(UsageError, match="attribute alpha cannot be 'big'"):
        editor.finish()


def test_an_attribute_is_removed_by_none() -> None:
    document = mlp()
    editor = document.edit()
    editor.set_attr(document.nodes[0], "transB", None)
    assert dict(editor.finish().nodes[0].attrs) == {}


def test_tensor_attribute() -> None:
    document = parse(
        "g () => (float[2] y) { y = ConstantOfShape <value = float[1] {1.0}> (s) }", s=np.array([2])
    )
    editor = document.edit()
    editor.set_attr(document.nodes[0], "value", np.array([7.0], np.float32))
    assert run(editor.finish(), {})[0].tolist() == [7.0, 7.0]


def test_element_type_is_kept() -> None:
    document = mlp()
    editor = document.edit()
    editor.set_tensor("W1", document.weights.array("W1").astype(np.float64))
    assert editor.finish().weights.info("W1").dtype == np.float32
    integers = parse("g () => (int64[2] y) { y = Identity (i) }", i=np.array([1, 2])).edit()
    with pytest.raises(UsageError, match="tensor i: cannot store float64 in a tensor of int64"):
        integers.set_tensor("i", np.array([0.5, 1.5]))


def test_lazy_tensors_are_computed_when_read() -> None:
    calls = []

    def compute() -> np.ndarray:
        calls.append(1)
        return random(64, 8)

    document = mlp()
    editor = document.edit()
    editor.set_tensor("W1", Lazy((64, 8), np.float32, compute))
    edited = editor.finish()
    assert (edited.nbytes, edited.shapes()["h"], calls) == (document.nbytes, (None, 64), [])
    assert (edited.weights.array("W1") == random(64, 8)).all() and calls
    assert edited.weights.info("W1").storage == "new"


def test_a_lazy_tensor_of_another_shape_is_a_bug() -> None:
    editor = mlp().edit()
    editor.set_tensor("W1", Lazy((64, 8), np.float32, lambda: random(3, 8)))
    with pytest.raises(Bug, match=r"tensor W1: computed shape \(3, 8\), announced \(64, 8\)"):
        editor.finish().weights.array("W1")


def test_the_editor_keeps_a_copy_of_an_array() -> None:
    editor, values = mlp().edit(), random(64, 8)
    editor.set_tensor("W1", values)
    values[:] = 0
    assert editor.finish().weights.array("W1").any()


def test_inserted_operator_takes_over_the_readers() -> None:
    document = mlp()
    editor = document.edit()
    index = editor.add_tensor("W1", np.arange(64))
    names = editor.insert_after(document.nodes[1], "Gather", ["r", index], ["r"], {"axis": 1})
    edited = editor.finish()
    check(edited)
    assert (index, names) == ("W1_1", ("r_1",))
    assert [n.op_type for n in edited.nodes] == ["Gemm", "Relu", "Gather", "MatMul"]
    assert [n.inputs for n in edited.nodes[2:]] == [("r", "W1_1"), ("r_1", "W2")]
    assert np.array_equal(run(edited, X)[0], run(document, X)[0])


def test_insertion_without_rewiring() -> None:
    document = mlp()
    editor = document.edit()
    (negated,) = editor.insert_after(document.nodes[1], "Neg", ["r"], ["n"], output_slot=None)
    (doubled,) = editor.insert_before(document.nodes[2], "Add", [negated, negated], ["d"])
    editor.set_input(document.nodes[2], 0, doubled)
    edited = editor.finish()
    assert [n.op_type for n in edited.nodes] == ["Gemm", "Relu", "Neg", "Add", "MatMul"]
    np.testing.assert_allclose(run(edited, X)[0], -2 * run(document, X)[0], rtol=1e-5)


def test_insertion_behind_a_graph_output_keeps_its_name() -> None:
    document = mlp()
    editor = document.edit()
    assert editor.insert_after(document.nodes[2], "Neg", ["y"], ["wish"]) == ("y",)
    edited = editor.finish()
    check(edited)
    assert edited.outputs == document.outputs
    assert np.array_equal(run(edited, X)[0], -run(document, X)[0])


CAPTURE = """g (float[2] x, bool c) => (float[2] y) {
    h = Neg (x)
    y = If (c) <then_branch = t () => (float[2] a) { a = Neg (h) },
                else_branch = e () => (float[2] b) { b = Add (h, W) }>
}"""


def test_insertion_behind_a_captured_value() -> None:
    document = parse(CAPTURE, W=np.ones(2, np.float32))
    editor = document.edit()
    assert editor.insert_after(document.nodes[0], "Abs", ["h"], ["wish"]) == ("h",)
    edited = editor.finish()
    check(edited)
    feeds = {"x": np.array([1.0, -2.0], np.float32), "c": np.array(True)}
    assert run(edited, feeds)[0].tolist() == [-1.0, -2.0]
    assert proto(edited).graph.node[2] == proto(document).graph.node[1]


def test_a_captured_weight_cannot_be_removed() -> None:
    editor = parse(CAPTURE, W=np.ones(2, np.float32)).edit()
    editor.remove_tensor("W")
    with pytest.raises(UsageError, match="tensor W: is read but does not exist"):
        editor.finish()


def test_new_names_avoid_those_in_subgraphs() -> None:
    editor = parse(CAPTURE, W=np.ones(2, np.float32)).edit()
    assert editor.add_tensor("a", np.ones(1)) == "a_1"


def test_inputs_are_appended_before_captured_ones() -> None:
    document = parse(
        """g (float[2] x, int64 n) => (float[2] y) {
            y = Loop (n, "") <body = b (int64 i, bool c) => (bool d) { d = Identity (c) }> ()
        }""".replace('(n, "")', "(n)").replace("> ()", ">"),
    )
    editor = document.edit()
    editor.set_input(document.nodes[0], 1, "")
    editor.set_input(document.nodes[0], 1, "x")
    assert editor.finish().nodes[0].inputs == ("n", "x")


def test_a_slot_that_does_not_exist() -> None:
    document = mlp()
    with pytest.raises(UsageError, match="node MatMul_2: has 2 inputs, no slot 3"):
        document.edit().set_input(document.nodes[2], 3, "x")


def test_order_is_restored_and_cycles_are_refused() -> None:
    document = parse("g (float[1] x) => (float[1] y) { a = Neg (x) b = Abs (x) y = Add (a, b) }")
    editor = document.edit()
    editor.set_input(document.nodes[0], 0, "b")
    assert [n.op_type for n in editor.finish().nodes] == ["Abs", "Neg", "Add"]
    editor = document.edit()
    editor.set_input(document.nodes[0], 0, "y")
    with pytest.raises(UsageError, match="cyclic"):
        editor.finish()


def test_removed_node() -> None:
    document = mlp()
    editor = document.edit()
    editor.set_input(document.nodes[2], 0, "h")
    editor.remove_node(document.nodes[1])
    edited = editor.finish()
    assert [n.op_type for n in edited.nodes] == ["Gemm", "MatMul"]
    assert "r" not in {v.name for v in edited._model.graph.value_info}
    editor = document.edit()
    editor.remove_node(document.nodes[1])
    with pytest.raises(UsageError, match="tensor r: is read but does not exist"):
        editor.finish()


def test_node_of_another_document() -> None:
    with pytest.raises(Bug, match="another document"):
        mlp().edit().set_attr(mlp().nodes[0], "alpha", 1.0)


def declared(document: Document) -> set[str]:
    return {v.name for v in document._model.graph.value_info}


def test_stale_declared_shapes_go_and_others_stay() -> None:
    document = mlp()
    model = proto(document)
    model.graph.value_info.append(helper.make_tensor_value_info("W1", TensorProto.FLOAT, [64, 8]))
    model.graph.value_info.append(helper.make_tensor_value_info("W2", TensorProto.FLOAT, [64, 4]))
    document = load(model)
    editor = document.edit()
    editor.set_tensor("W1", document.weights.array("W1")[:, ::-1])
    assert declared(editor.finish()) == {"h", "r", "W1", "W2"}
    assert declared(narrowed(document, [0, 1])) == set()
    editor = document.edit()
    editor.drop_value_info(["r"])
    assert declared(editor.finish()) == {"h", "W1", "W2"}


def test_new_content_of_a_target_shape_makes_shapes_stale() -> None:
    document = parse(
        "g (float[2,6] x) => (float[A,B] z) <float[3,4] y> { y = Reshape (x, s) z = Neg (y) }",
        s=np.array([3, 4]),
    )
    editor = document.edit()
    editor.set_tensor("s", np.array([4, 3]))
    edited = editor.finish()
    assert declared(edited) == set()
    assert edited.shapes()["z"] == (4, 3)


def test_weights_listed_as_inputs_by_ir_version_3() -> None:
    document = mlp('<ir_version: 3, opset_import: ["" : 9]>')
    model = proto(document)
    for tensor in list(model.graph.initializer):
        entry = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        model.graph.input.append(entry)
    document = load(model)
    assert document.initializer_inputs == {"W1", "b1", "W2"} and not document.overridable
    assert [v.name for v in document.inputs] == ["x"]
    small = narrowed(document, [3, 4])
    editor = small.edit()
    name = editor.add_tensor("one", np.float32(1))
    editor.set_input(small.nodes[0], 2, name)
    editor.remove_tensor("b1")
    final = editor.finish()
    check(final)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in proto(final).graph.input}
    assert {k: shapes[k] for k in ("W1", "W2", "one")} == {"W1": [2, 8], "W2": [2, 4], "one": []}
    assert "b1" not in shapes


def test_overridable_weights_keep_their_shape() -> None:
    document = parse(
        "g (float[1,2] x, float[2,2] W) => (float[1,2] y) { y = MatMul (x, W) }",
        W=np.ones((2, 2), np.float32),
    )
    assert document.overridable == {"W"}
    document.edit().set_tensor("W", np.zeros((2, 2), np.float32))
    with pytest.raises(UsageError, match="callers may override"):
        document.edit().set_tensor("W", np.zeros((2, 1), np.float32))
    with pytest.raises(UsageError, match="callers may override"):
        document.edit().remove_tensor("W")


def test_a_weight_that_is_a_graph_output_keeps_its_shape() -> None:
    document = parse("g (float[1] x) => (float[1] y, float[2] W) { y = Neg (x) }", W=np.ones(2, np.float32))
    with pytest.raises(UsageError, match="is a graph output"):
        document.edit().set_tensor("W", np.ones(1, np.float32))


def test_weights_in_constant_nodes() -> None:
    text = """g (float[1,2] x) => (float[1,A] y) {
        W = Constant <value = float[2,2] {1.0, 2.0, 3.0, 4.0}> ()
        b = Constant <value_floats = [1.0, 2.0]> ()
        s = Constant <value_float = 2.0> ()
        m = MatMul (x, W)
        a = Add (m, b)
        y = Mul (a, s)
    }"""
    document = parse(text)
    editor = document.edit()
    editor.set_tensor("W", np.ones((2, 500), np.float32))
    editor.set_tensor("b", np.ones(500, np.float32))
    editor.set_tensor("s", np.full(1, 3, np.float32))
    edited = editor.finish()
    check(edited)
    assert run(edited, {"x": np.ones((1, 2), np.float32)})[0].tolist() == [[9.0] * 500]
    assert [n.op_type for n in edited.nodes] == [n.op_type for n in document.nodes]
    assert [a.name for n in proto(edited).graph.node[:3] for a in n.attribute] == [
        "value",
        "value_floats",
        "value",
    ]
    editor = edited.edit()
    editor.set_input(edited.nodes[5], 1, "x")
    editor.remove_tensor("s")
    assert len(editor.finish().nodes) == 5


def test_initializers_keep_their_place() -> None:
    document = mlp()
    names = [t.name for t in proto(document).graph.initializer]
    editor = document.edit()
    editor.set_tensor("b1", np.zeros(64))
    editor.add_tensor("new", np.zeros(1))
    assert [t.name for t in proto(editor.finish()).graph.initializer] == [*names, "new"]


def test_edits_of_edits() -> None:
    document = mlp()
    first = narrowed(document, list(range(40)))
    second = narrowed(first, [0, 39])
    check(second)
    assert (second.weights.array("W1") == document.weights.array("W1")[[0, 39]]).all()


def test_metadata() -> None:
    document = load(rich_model())
    editor = document.edit()
    editor.set_metadata({"task": "other", "onnxdup.version": "1"})
    edited = editor.finish()
    assert edited.metadata == {"task": "other", "onnxdup.version": "1"}
    editor = edited.edit()
    editor.set_metadata({"task": None, "absent": None})
    assert editor.finish().metadata == {"onnxdup.version": "1"}


def test_annotations_of_removed_tensors_go() -> None:
    document = load(rich_model())
    editor = document.edit()
    editor.set_input(document.nodes[0], 1, editor.add_tensor("V", document.weights.array("W1")))
    editor.remove_tensor("W1")
    edited = proto(editor.finish())
    assert not edited.graph.quantization_annotation
    assert rich_model().graph.quantization_annotation


def test_unknown_and_sparse_weights_are_refused() -> None:
    editor = load(rich_model()).edit()
    with pytest.raises(UsageError, match="tensor nope: is no weight"):
        editor.set_tensor("nope", np.zeros(1))
    with pytest.raises(UsageError, match="tensor sparse: is sparse"):
        editor.set_tensor("sparse", np.zeros(5, np.float32))
