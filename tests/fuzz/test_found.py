"""What the fuzzer found in weights without elements, as it is smallest."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from onnxdup.errors import OnnxdupError
from onnxdup.graph import load
from onnxdup.reduce import merge
from onnxdup.reporting.build import build_report

HEAD = '<ir_version: 8, opset_import: ["": 17]>\ng (float[2,4] x) => (float[2,4] y) '
EMPTY = {
    "table": "<float[0,4] w = {}, int64[2] k = {0, 0}> { t=Gather(w,k) y=Add(x,t) }",
    "rows": "<float[4,0] w = {}, float[0,4] v = {}> { t=MatMul(x,w) r=Relu(t) y=MatMul(r,v) }",
    "factor": "<float[4,4] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}, float[0] s = {}, float[4,4] v = "
    "{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}> { t=MatMul(x,w) m=Mul(t,s) r=Relu(m) y=MatMul(r,v) }",
}


def model(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + text)


@pytest.mark.parametrize("name", EMPTY)
def test_weights_without_elements_are_no_reason_to_stop(name: str) -> None:
    """A report, and a merge that leaves them alone, or one line."""
    document = load(model(EMPTY[name]))
    try:
        build_report(document, (1.0, 0.9))
        assert [merge(document, tau).removed for tau in (1.0, 0.9)] == [0, 0]
    except OnnxdupError as error:
        assert "\n" not in str(error)
