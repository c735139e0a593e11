"""Operators on integers and reordered layers: reported on the floats they stand for, left as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic
from quantised.qdq import float_model, quantise, tensor, value

from onnxdup import api
from onnxdup.channels import trace
from onnxdup.channels.packed import unpacked
from onnxdup.graph import load
from onnxdup.reduce import merge

OPERATORS = {"mlp": "QGemm", "matmul": "QLinearMatMul", "cnn": "QLinearConv"}


def rows_of(model: onnx.ModelProto, name: str) -> np.ndarray:
    """Filters of a float weight."""
    array = tensor(model, name)
    return array.T if name == "w1" and array.shape == (12, 8) else array.reshape(len(array), -1)


def check(model: onnx.ModelProto, op: str, word: str) -> None:
    """Every layer is reported with a reason, and nothing is merged."""
    found = api.report(model, taus=[1.0])
    layers = [x for x in found.layers if x.op == op]
    assert layers
    assert all(x.frozen is not None and word in x.frozen.reason for x in layers)
    assert any(word in o.reason for o in found.obstacles)
    assert merge(load(model)).plan.merges == ()


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("per_channel", [False, True])
def test_operators_on_integers(tmp_path: Path, name: str, per_channel: bool) -> None:
    model = quantise(tmp_path, name, quant_format=QuantFormat.QOperator, per_channel=per_channel)
    check(model, OPERATORS[name], "fixed numbers")
    layer = next(x for x in trace(load(model)).layers if x.op_type == OPERATORS[name])
    expected = rows_of(float_model(name), "w1")
    assert layer.rows().shape == expected.shape
    assert np.abs(layer.rows() - expected).max() <= np.abs(expected).max() / 127


@pytest.mark.parametrize(("name", "op"), [("matmul", "MatMulInteger"), ("cnn", "ConvInteger")])
def test_dynamic_quantisation(tmp_path: Path, name: str, op: str) -> None:
    onnx.save(float_model(name), tmp_path / "float.onnx")
    weights = QuantType.QInt8 if name == "matmul" else QuantType.QUInt8
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "q.onnx", weight_type=weights)
    model = onnx.load(tmp_path / "q.onnx")
    check(model, op, "at run time")
    layer = next(x for x in trace(load(model)).layers if x.op_type == op)
    codes, expected = layer.rows(), rows_of(float_model(name), "w1")
    assert np.corrcoef(codes.ravel(), expected.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_are_unpacked_low_bits_first(bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 2**bits, (3, 16))
    grid = codes.reshape(3, -1, 8 // bits) << (np.arange(8 // bits) * bits)
    packed = grid.sum(-1).astype(np.uint8)
    assert np.array_equal(unpacked(packed, 3, bits), codes)


def test_matmul_n_bits_as_onnxruntime_computes_it() -> None:
    """The identity as input gives the weights."""
    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.integers(0, 256, (6, 2, 8)).astype(np.uint8),
        "s": rng.random((6, 2)).astype(np.float32),
        "z": rng.integers(0, 256, (6, 1)).astype(np.uint8),
    }
    node = helper.make_node(
        *("MatMulNBits", ["x", "w", "s", "z"], ["y"]),
        name="fc",
        domain="com.microsoft",
        K=32,
        N=6,
        bits=4,
        block_size=16,
    )
    graph = helper.make_graph(
        [node],
        "g",
        [value("x", onnx.TensorProto.FLOAT, ("N", 32))],
        [value("y", onnx.TensorProto.FLOAT, ("N", 6))],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    check(model, "MatMulNBits", "blocks that share scales")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    weights = session.run(None, {"x": np.eye(32, dtype=np.float32)})[0]
    assert np.allclose(trace(load(model)).layers[0].rows(), weights.T, atol=1e-5)


def test_reordered_weights(tmp_path: Path) -> None:
    """A file optimised for one processor: filters come back in order, zeros fill the last block."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    source = float_model("cnn").SerializeToString()
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    model = onnx.load(tmp_path / "optimised.onnx")
    if not any(n.domain == "com.microsoft.nchwc" for n in model.graph.node):
        pytest.skip("onnxruntime does not reorder on this processor")
    check(model, "Conv", "reordered")
    rows = trace(load(model)).layers[0].rows()
    assert np.allclose(rows[:8], rows_of(float_model("cnn"), "w1"))
    assert not rows[8:].any()


@pytest.mark.parametrize("domain", ["onnx.brevitas", "qonnx.custom_op.general"])
def test_quant_of_qonnx(domain: str) -> None:
    nodes = [
        helper.make_node(
            "Quant", ["w", "s", "z", "b"], ["q"], domain=domain, signed=1, narrow=1, name="quant"
        ),
        helper.make_node("Gemm", ["x", "q"], ["a"], transB=1, name="fc"),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "v"], ["y"], transB=1, name="out"),
    ]
    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.normal(size=(6, 4)),
        "v": rng.normal(size=(2, 6)),
        "s": np.array(0.1),
        "z": np.array(0.0),
        "b": np.array(4.0),
    }
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", onnx.TensorProto.FLOAT, ("N", 4))],
        [value("y", onnx.TensorProto.FLOAT, ("N", 2))],
        [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    check(model, "Gemm", "")
    layer = trace(load(model)).layers[0]
    codes = layer.rows() / np.float32(0.1)
    assert np.allclose(codes, np.clip(np.rint(arrays["w"] / 0.1), -7, 7))
    assert "Quant" in str(layer.reason)
