"""Below tau 1 the exact pass is also held to rounding by itself, on the model that it worked on."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import onnxdup

HEAD = '<ir_version: 8, opset_import: ["": 17]>\ng (float[N,20] x) => (float[N,20] y) { '
TIED = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm(r,w1,b2) }"
PLAIN = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm(r,w2,b2) }"
SHAPES = {"w1": (16, 20), "b1": (16,), "b2": (20,), "w2": (16, 20)}


def model(body: str, *, overridable: bool) -> onnx.ModelProto:
    """Seven copies of unit 0, and unit 9 almost unit 8."""
    made = parser.parse_model(HEAD + body)
    random = np.random.default_rng(7)
    for name in (n for n in SHAPES if n in body):
        values = random.normal(size=SHAPES[name]).astype(np.float32)
        if name in ("w1", "b1"):
            values[1:8] = values[0]
            values[9] = values[8] + 1e-3 * random.normal(size=values[8].shape)
        made.graph.initializer.append(numpy_helper.from_array(values, name))
        if overridable:
            made.graph.input.append(helper.make_tensor_value_info(name, 1, SHAPES[name]))
    for index, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}_{index}"
    return made


@pytest.mark.parametrize(
    ("body", "overridable"), [(TIED, False), (PLAIN, True)], ids=["copies of a weight", "constant inputs"]
)
def test_what_came_before_the_first_round_comes_before_it_again(body: str, overridable: bool) -> None:
    found = onnxdup.merge(
        model(body, overridable=overridable), tau=0.99, constant_inputs=overridable, provider="cpu"
    )
    assert found.plan.constant_inputs == overridable and bool(found.plan.clones) == (body is TIED)
    assert [sum(len(m.dropped) for m in merges) for merges in found.plan.rounds] == [7, 1]
    assert [c.status for c in found.report.checks if c.name == "exact within rounding"] == ["passed"]
