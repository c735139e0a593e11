"""Small float networks with planted copies, quantised by onnxruntime's own tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, parser
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

Arrays = dict[str, np.ndarray]
COPIES = ((0, 3), (1, 5), (1, 6))
MLP = """<ir_version: 8, opset_import: ["": 17]>
g (float[N,12] x) => (float[N,4] y) { a=Gemm<transB=1>(x,w1,b1) r=Relu(a) k=Gemm<transB=1>(r,w2,b2) s=Relu(k)
  y=Gemm<transB=1>(s,w3,b3) }"""
MATMUL = """<ir_version: 8, opset_import: ["": 17]>
g (float[N,12] x) => (float[N,4] y) { a=MatMul(x,w1) c=Add(a,b1) r=Relu(c) k=MatMul(r,w2) l=Add(k,b2)
  s=Relu(l) y=MatMul(s,w3) }"""
CNN = """<ir_version: 8, opset_import: ["": 17]>
g (float[N,3,8,8] x) => (float[N,4] y) { a=Conv<pads=[1,1,1,1]>(x,w1,b1) r=Relu(a)
  m=MaxPool<kernel_shape=[2,2],strides=[2,2]>(r) k=Conv<pads=[1,1,1,1]>(m,w2,b2) s=Relu(k)
  p=GlobalAveragePool(s) f=Flatten(p) y=Gemm<transB=1>(f,w3,b3) }"""
RESIDUAL = """<ir_version: 8, opset_import: ["": 17]>
g (float[N,3,8,8] x) => (float[N,4] y) { a=Conv(x,w1,b1) r=Relu(a) k=Conv(x,w2,b2) z=Add(r,k) s=Relu(z)
  p=GlobalAveragePool(s) f=Flatten(p) y=Gemm<transB=1>(f,w3,b3) }"""
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "mlp": {"w1": (8, 12), "b1": (8,), "w2": (8, 8), "b2": (8,), "w3": (4, 8), "b3": (4,)},
    "matmul": {"w1": (12, 8), "b1": (8,), "w2": (8, 8), "b2": (8,), "w3": (8, 4)},
    "cnn": {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,), "w3": (4, 8), "b3": (4,)},
    "residual": {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 3, 3, 3), "b2": (8,), "w3": (4, 8), "b3": (4,)},
}
TEXT = {"mlp": MLP, "matmul": MATMUL, "cnn": CNN, "residual": RESIDUAL}
HIDDEN = {"mlp": 2, "matmul": 2, "cnn": 2, "residual": 1}


def float_model(name: str, *, room: float = 0.25) -> onnx.ModelProto:
    """A network whose hidden channels 3, 5, 6 copy 0, 1, 1; their readers are `room` times smaller than the
    rest, so that their sums fit int8.
    """
    rng = np.random.default_rng(len(name))
    weights = {n: rng.normal(size=s).astype(np.float32) * 0.4 for n, s in SHAPES[name].items()}
    chain = [("w1", "b1", "w2"), ("w2", "b2", "w3")]
    if name == "residual":
        chain = [("w1", "b1", "w3"), ("w2", "b2", "w3")]
    rows, columns = (1, 0) if name == "matmul" else (0, 1)
    for weight, bias, _ in chain:
        for source, target in COPIES:
            w = np.moveaxis(weights[weight], rows, 0)
            w[target], weights[bias][target] = w[source], weights[bias][source]
    for reader in {c[2] for c in chain}:
        for channel in {c for pair in COPIES for c in pair}:
            np.moveaxis(weights[reader], columns, 0)[channel] *= room
    if name != "residual":  # rows that were scaled as columns of the reader must be copies again
        for source, target in COPIES:
            w = np.moveaxis(weights["w2"], rows, 0)
            w[target] = w[source]
    model = parser.parse_model(TEXT[name])
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    onnx.checker.check_model(model, full_check=True)
    return model


def inputs(name: str, batch: int = 16, seed: int = 1) -> Arrays:
    """Random inputs of a network."""
    shape = (batch, 12) if name in ("mlp", "matmul") else (batch, 3, 8, 8)
    return {"x": np.random.default_rng(seed).normal(size=shape).astype(np.float32)}


class Reader(CalibrationDataReader):
    """Calibration data: a few batches."""

    def __init__(self, name: str) -> None:
        self.batches = iter([inputs(name, seed=s) for s in range(4)])

    def get_next(self) -> Arrays | None:  # type: ignore[override]
        return next(self.batches, None)


def quantise(folder: Path, name: str, **options: Any) -> onnx.ModelProto:
    """The network after quantize_static (QDQ unless `quant_format` says otherwise)."""
    room = options.pop("room", 0.25)
    source, target = folder / "float.onnx", folder / "quantised.onnx"
    onnx.save(float_model(name, room=room), source)
    given = {"quant_format": QuantFormat.QDQ, "weight_type": QuantType.QInt8, **options}
    quantize_static(str(source), str(target), Reader(name), **given)
    return onnx.load(target)


def run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], *, fused: bool) -> list[np.ndarray]:
    """Outputs of onnxruntime; `fused` with its integer kernels, else node by node."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if fused else level.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(feeds)))


def tensor(model: onnx.ModelProto, name: str) -> np.ndarray:
    """Content of an initializer."""
    return numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == name))


def value(name: str, kind: int, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    """A graph input or output."""
    return helper.make_tensor_value_info(name, kind, shape)
