"""Models of opset 1 to 6 in today's words, by hand: an oracle that shares nothing with the rules.

onnxruntime runs no operator set before 7.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow")
HINTS = ("consumed_inputs", "is_test", "broadcast", "axis_b")


def modernised(old: onnx.ModelProto) -> onnx.ModelProto:
    """The same function at opset 9; every second operand is an initializer or of the same shape."""
    new = onnx.ModelProto()
    new.CopyFrom(old)
    new.opset_import[0].version, new.ir_version = 9, 8
    del new.graph.value_info[:]
    nodes = [_modern(new, node) for node in old.graph.node]
    del new.graph.node[:]
    new.graph.node.extend(nodes)
    onnx.checker.check_model(new, full_check=True)
    return new


def _modern(model: onnx.ModelProto, node: onnx.NodeProto) -> onnx.NodeProto:
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    made = onnx.NodeProto()
    made.CopyFrom(node)
    del made.attribute[:]
    kept = {k: v for k, v in given.items() if k not in HINTS}
    if node.op_type in ARITHMETIC:
        kept.pop("axis", None)
        if given.get("broadcast"):
            made.input[1] = _widened(model, node.input[1], given.get("axis"), _rank(model, node.input[0]))
    if node.op_type == "PRelu":
        made.input[1] = _widened(model, node.input[1], 1, _rank(model, node.input[0]))
    if node.op_type == "Concat":
        kept.setdefault("axis", 1)
    if node.op_type == "Reshape" and "shape" in kept:
        name = f"{node.output[0]}_shape"
        model.graph.initializer.append(numpy_helper.from_array(np.array(kept.pop("shape"), np.int64), name))
        made.input.append(name)
    if node.op_type == "Pad" and "paddings" in kept:
        kept["pads"] = kept.pop("paddings")
    made.attribute.extend(helper.make_attribute(k, v) for k, v in kept.items())
    return made


def _widened(model: onnx.ModelProto, name: str, axis: int | None, rank: int) -> str:
    """An initializer with axes of length 1 behind it, so that it starts at `axis` of `rank` axes."""
    tensor = next((t for t in model.graph.initializer if t.name == name), None)
    if tensor is None:
        return name
    values = numpy_helper.to_array(tensor)
    if values.size == 1:
        shape: tuple[int, ...] = ()
    else:
        start = rank - values.ndim if axis is None else axis
        shape = values.shape + (1,) * (rank - start - values.ndim)
    fresh = f"{name}_at_{axis}_of_{rank}"
    if not any(t.name == fresh for t in model.graph.initializer):
        model.graph.initializer.append(numpy_helper.from_array(values.reshape(shape), fresh))
    return fresh


def _rank(model: onnx.ModelProto, name: str) -> int:
    """From the name: values of the test models end in the number of their axes (`a4`, `f2`)."""
    return int(name[-1])
