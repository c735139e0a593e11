"""Shape inference on the skeleton."""

from __future__ import annotations

import numpy as np
import pytest
from graph_models import mlp, narrowed, proto, random
from onnx import TensorProto, helper

from onnxdup.errors import InputError, UsageError
from onnxdup.graph import check, load, parse


def test_symbols_are_unknown_and_can_be_fixed() -> None:
    assert mlp().shapes()["h"] == (None, 64)
    fixed = mlp().shapes({"x": (3, 8)})
    assert (fixed["h"], fixed["y"], fixed["W1"]) == ((3, 64), (3, 4), (64, 8))


def test_unknown_input_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no input 'q'; it has x"):
        mlp().shapes({"q": (1, 8)})


def test_a_fixed_input_overrules_declared_shapes() -> None:
    document = parse(
        "g (float[2,4] x) => (float[2,4] z) <float[2,4] y> { y = Relu (x) z = Neg (y) }",
    )
    assert document.shapes({"x": (5, 4)}) == {"x": (5, 4), "y": (5, 4), "z": (5, 4)}
    assert document.shapes()["y"] == (2, 4)


def test_shape_subgraphs_are_evaluated() -> None:
    document = parse(
        """g (float[2,3,4] x) => (float[A,B] y) {
            s = Shape (x)
            n = Gather (s, zero)
            t = Concat <axis = 0> (n, minus)
            y = Reshape (x, t)
        }""",
        zero=np.array([0]),
        minus=np.array([-1]),
    )
    assert document.shapes()["y"] == (2, 12)


def test_a_long_target_shape_is_still_read() -> None:
    """An integer vector above the skeleton's threshold keeps its content for inference."""
    document = parse(
        "g (float[1] x) => (float[A] y) { y = Gather (c, i) }",
        c=random(300),
        i=np.arange(200),
    )
    assert document.shapes()["y"] == (200,)


def test_a_long_vector_in_a_constant_node_is_still_read() -> None:
    axes = ", ".join(["1"] * 199 + ["3"])
    document = parse(
        f"g (float[1] x) => (float[A] y) {{ s = Constant <value = int64[200] {{{axes}}}> () "
        "i = Slice (s, a, b) y = Expand (x, i) }",
        a=np.array([199]),
        b=np.array([200]),
    )
    assert not document._model.graph.node[0].attribute[0].t.raw_data
    assert document.shapes()["y"] == (3,)
    check(document)


def test_custom_operators_keep_what_the_file_declares() -> None:
    document = parse(
        """<ir_version: 10, opset_import: ["" : 20, "custom" : 1]>
        g (float[2,4] x) => (float[2,4] z) <float[2,7] y> { y = custom.Op (x) z = Neg (x) }"""
    )
    assert document.shapes()["y"] == (2, 7)


def test_failing_inference_gives_what_is_known() -> None:
    model = proto(mlp())
    del model.opset_import[:]
    shapes = load(model).shapes()
    assert (shapes["x"], shapes["W1"]) == ((None, 8), (64, 8))


def test_contradicting_declarations_do_not_hide_the_rest() -> None:
    model = proto(mlp())
    model.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, ["N", 63]))
    assert load(model).shapes({"x": (2, 8)})["r"] == (2, 64)


def test_nodes_out_of_order_are_inferred() -> None:
    model = proto(mlp())
    del model.graph.value_info[:]
    nodes = list(model.graph.node)
    reordered = [helper.make_node("x", [], []) for _ in nodes]
    for copy, node in zip(reordered, reversed(nodes), strict=True):
        copy.CopyFrom(node)
    del model.graph.node[:]
    model.graph.node.extend(reordered)
    assert load(model).shapes()["r"] == (None, 64)


def test_narrowed_shapes_follow() -> None:
    assert narrowed(mlp(), [0, 5, 9]).shapes({"x": (1, 8)})["r"] == (1, 3)


def test_check_accepts_and_refuses() -> None:
    check(mlp())
    editor = mlp().edit()
    editor.set_tensor("W2", random(63, 4))
    with pytest.raises(InputError, match="is not a valid ONNX model: ") as caught:
        check(editor.finish())
    assert "\n" not in str(caught.value)
