"""Two independent ways to run a model: onnxruntime as stored, onnx's ReferenceEvaluator in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
DOUBLE = onnx.TensorProto.DOUBLE
Arrays = dict[str, np.ndarray]


def run_runtime(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Arrays:
    """Outputs of onnxruntime on one CPU thread, without graph optimisation."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def run_reference(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> Arrays:
    """Outputs of onnx's ReferenceEvaluator for a model and feeds that are already in float64."""
    names = [output.name for output in model.graph.output]
    with np.errstate(all="ignore"):
        outputs = ReferenceEvaluator(model).run(names, dict(feeds))
    return dict(zip(names, outputs, strict=True))


def widen_feeds(feeds: Mapping[str, np.ndarray]) -> Arrays:
    """Feeds with every float input in float64."""
    return {name: a.astype(np.float64) if _is_float(a.dtype) else a for name, a in feeds.items()}


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model that computes in float64: weights, types, Constant and Cast attributes."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    _widen_graph(wide.graph)
    return wide


def _is_float(dtype: np.dtype) -> bool:
    return dtype == np.float32 or dtype == np.float16 or dtype.name == "bfloat16"


def _widen_graph(graph: onnx.GraphProto) -> None:
    scales = {
        name for node in graph.node if node.op_type in {"Resize", "Upsample"} for name in node.input[1:]
    }
    for tensor in graph.initializer:
        if tensor.name not in scales:
            _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in FLOATS:
            value.type.tensor_type.elem_type = DOUBLE
    for node in graph.node:
        _widen_node(node)


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in FLOATS:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
        )


def _widen_node(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            _widen_tensor(attribute.t)
        elif attribute.type == onnx.AttributeProto.GRAPH:
            _widen_graph(attribute.g)
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in FLOATS:
            attribute.i = DOUBLE
        elif node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
            array = np.array(helper.get_attribute_value(attribute), np.float64)
            attribute.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(array)))


def relative_error(expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> float:
    """Largest |difference| of any output relative to its largest |value|; inf where shapes or types differ.

    NaN equals NaN, an infinity itself. Integer and boolean outputs count as 0 when equal and 1 when not.
    """
    if expected.keys() != actual.keys():
        return float("inf")
    return max((_error(expected[name], actual[name]) for name in expected), default=0.0)


def _error(expected: np.ndarray, actual: np.ndarray) -> float:
    expected, actual = np.asarray(expected), np.asarray(actual)
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return float("inf")
    if expected.dtype.kind in "biu":
        return float((expected != actual).any())
    wide, other = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(wide)
    if (
        not np.array_equal(wide[~finite], other[~finite], equal_nan=True)
        or not np.isfinite(other[finite]).all()
    ):
        return float("inf")
    largest = max(np.abs(wide[finite]).max(initial=0.0), 1e-30)
    return float(np.abs(wide[finite] - other[finite]).max(initial=0.0) / largest)
