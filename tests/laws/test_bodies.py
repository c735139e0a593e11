"""Subgraphs and local functions: their layers are reported; what they read of the main graph stays theirs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from laws import surgeon
from laws.bench import merged, serialise
from laws.oracle import relative_error, run_runtime
from onnx import numpy_helper, parser

from onnxdup.channels import trace
from onnxdup.graph import load
from onnxdup.reduce import merge
from onnxdup.reporting.build import build_report

ZOO = Path(os.environ.get("ONNXDUP_ZOO", Path(__file__).parents[2].parent / "shared" / "zoo"))
HEAD = '<ir_version: 8, opset_import: ["": 17, "local": 1]>\n'
GRAPH = "g (float[N,20] x, bool k) => (float[N,5] y) { h=Gemm<transB=1>(x,w1,b1) "
SHAPES = {"w1": (16, 20), "b1": (16,), "w2": (16, 16), "v": (16, 20), "c": (16,)}
SHAPES |= {"w9": (5, 16), "b9": (5,), "w8": (5, 16), "m": (16, 20)}
FEEDS = {"x": np.random.default_rng(1).normal(size=(3, 20)).astype(np.float32)}


def model(text: str, names: str, functions: str = "") -> onnx.ModelProto:
    """ONNX text with the weights named; row 4 of w1, b1 copies row 1, row 3 of v, c copies row 2."""
    made = parser.parse_model(HEAD + text + " }" + functions)
    rng = np.random.default_rng(7)
    arrays = {n: rng.normal(size=shape).astype(np.float32) for n, shape in SHAPES.items()}
    for copied, i, j in (("w1", 1, 4), ("b1", 1, 4), ("v", 2, 3), ("c", 2, 3)):
        arrays[copied][j] = arrays[copied][i]
    made.graph.initializer.extend(numpy_helper.from_array(arrays[n], n) for n in names.split())
    for index, node in enumerate(made.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.checker.check_model(made, full_check=not functions)
    return made


def branches(then: str, otherwise: str, width: int = 16) -> str:
    """An If on k whose branches define o and p."""
    graphs = f"then_branch = t () => (float[N,{width}] o) {{ {then} }}, "
    return f"i=If(k)<{graphs} else_branch = e () => (float[N,{width}] p) {{ {otherwise} }}> "


def check(made: onnx.ModelProto, rows: int) -> onnx.ModelProto:
    """`rows` of w1 stay, and the outputs on both branches."""
    small = merged(made)
    for k in (True, False):
        feeds = {**FEEDS, "k": np.array(k)}
        assert relative_error(run_runtime(made, feeds), run_runtime(small, feeds)) <= 2e-5
    assert len(surgeon.read(small, "w1")) == rows
    return small


def reason(made: onnx.ModelProto) -> str:
    """Why the channels that w1 makes are frozen."""
    group = trace(load(made)).group("w1")
    return group.frozen.reason if group.frozen else ""


OTHER = "t=Gemm<transB=1>(x,v) p=Neg(t)"
ENDS = "r=Relu(h) s=Gemm<transB=1>(r,w9,b9) q=Gemm<transB=1>(i,w8) y=Add(q,s)"


def test_without_captures_the_copy_goes() -> None:
    made = model(GRAPH + branches("o=Gemm<transB=1>(x,v,c)", OTHER) + ENDS, "w1 b1 v c w9 b9 w8")
    check(made, 15)


def test_a_weight_whose_rows_a_branch_returns_is_frozen() -> None:
    made = model(GRAPH + branches("o=Gemm<transB=1>(x,w1)", OTHER) + ENDS, "w1 b1 v w9 b9 w8")
    assert reason(made) == "handed back by a subgraph, inside If_1.then_branch"
    check(made, 16)


def test_a_bias_that_a_branch_reads_too_gets_a_copy() -> None:
    made = model(GRAPH + branches("o=Gemm<transB=1>(x,v,b1)", OTHER) + ENDS, "w1 b1 v w9 b9 w8")
    small = check(made, 15)
    assert surgeon.read(small, "b1").shape == (16,)


def test_a_reader_that_a_branch_shares_keeps_its_columns() -> None:
    body = branches(
        "t1=Gemm<transB=1>(x,v) o=Gemm<transB=1>(t1,w9)", "u=Gemm<transB=1>(x,v) p=Gemm<transB=1>(u,w8)", 5
    )
    made = model(GRAPH + body + "r=Relu(h) s=Gemm<transB=1>(r,w9,b9) y=Add(i,s)", "w1 b1 v w9 b9 w8")
    assert reason(made) == ""
    check(made, 16)  # the copies in v are others than those in w1


def test_a_captured_activation_that_is_returned_is_frozen() -> None:
    made = model(GRAPH + branches("o=Neg(h)", "p=Abs(h)") + ENDS, "w1 b1 w9 b9 w8")
    assert reason(made) == "handed back by a subgraph, inside If_1.then_branch"
    check(made, 16)


def test_layers_of_branches_are_listed() -> None:
    body = branches("o=Gemm<transB=1>(h,w2)", "u=Identity(v) p=Gemm<transB=1>(x,u,c)")
    made = model(GRAPH + body + "r=Relu(i) y=Gemm<transB=1>(r,w9,b9)", "w1 b1 w9 b9 w2 v c")
    inner = made.graph.node[1].attribute[1].g
    for tensor in [t for t in made.graph.initializer if t.name in ("v", "c")]:
        inner.initializer.append(tensor)
        made.graph.initializer.remove(tensor)
    report = build_report(load(made), (1.0, 0.9))
    found = {
        x.tensor: x for x in report.layers if x.frozen and "inside a subgraph of node" in x.frozen.reason
    }
    assert set(found) == {"w2", "If_1.else_branch/v"}
    layer = found["If_1.else_branch/v"]
    assert (layer.node, layer.op) == ("If_1.else_branch/Gemm_1", "Gemm")
    assert (layer.filters, layer.fan_in, layer.taus[0].components) == (16, 20, 15)
    assert layer.frozen is not None and layer.frozen.reason == "inside a subgraph of node If_1: not merged"
    assert layer.taus[0].removable == layer.taus[1].removable == 0
    names = ("w1", "b1", "w9", "b9", "w2", "v", "c")
    assert report.totals.parameters == sum(int(np.prod(SHAPES[n])) for n in names)


def test_bodies_inside_bodies_see_all_that_is_around_them() -> None:
    deep = "j=If(k)<then_branch = a () => (float[N,16] o1) { o1=Gemm<transB=1>(x,n) }, "
    deep += "else_branch = b () => (float[N,16] o2) { o2=Gemm<transB=1>(x,v) }> o=Neg(j)"
    made = model(GRAPH + branches("n=Identity(m) " + deep, OTHER) + ENDS, "w1 b1 v w9 b9 w8 m")
    made.graph.node[1].attribute[0].g.initializer.append(made.graph.initializer.pop())
    listed = {x.tensor: x for x in trace(load(made)).layers}
    assert set(listed) == {"w1", "w9", "w8", "v", "If_1.then_branch/m"}
    assert listed["v"].node.startswith("If_1.then_branch/If_1.else_branch/")
    assert listed["If_1.then_branch/m"].rows().shape == (16, 20)


FUNCTION = """
<domain: "local", opset_import: ["": 17]>
Block (z, m, s) => (u) { p = Gemm<transB=1>(z, m, s) u = Relu(p) }
"""
ONES = ", ".join(["1"] * 40)
OWN = f"""
<domain: "local", opset_import: ["": 17]>
Block (z) => (u) {{ m = Constant<value = float[2,20] {{ {ONES} }}>() u = Gemm<transB=1>(z, m) }}
"""
CALLS = "g (float[N,20] x) => (float[N,{0}] y) {{ "


def test_layers_of_local_functions_are_listed_per_weight() -> None:
    text = (
        CALLS.format(5) + "h=local.Block(x,w1,b1) o=local.Block(x,v,c) r=Add(h,o) y=Gemm<transB=1>(r,w9,b9)"
    )
    source = load(model(text, "w1 b1 v c w9 b9", FUNCTION))
    listed = {x.tensor: x.reason or "" for x in trace(source).layers}
    inside = "inside the local function Block: not merged"
    assert {n for n, why in listed.items() if why == inside} == {"w1", "v"}
    assert set(listed) == {"w1", "v", "w9"}
    assert serialise(merge(source).document) == serialise(source)


def test_weights_of_a_local_function_count_once() -> None:
    text = CALLS.format(22) + "h=local.Block(x) o=local.Block(x) r=Add(h,o) y=Concat<axis=1>(r,x)"
    document = load(model(text, "", OWN))
    inner = trace(document).layers
    assert [(x.tensor, x.filters) for x in inner] == [("Block/m", 2)]
    assert build_report(document, (1.0,)).totals.parameters == 40


def test_endless_calls_end() -> None:
    endless = OWN.replace("u = Gemm", "n = Block(z) q = local.Block(z) u = Gemm")
    made = parser.parse_model(HEAD + CALLS.format(2) + "y=local.Block(x) }" + endless)
    assert [x.tensor for x in trace(load(made)).layers] == ["Block/m"]


@pytest.mark.parametrize(
    ("name", "layers", "op"),
    [("silero_vad_v4", 16, "LSTM"), ("silero_vad_v5", 16, "LSTM"), ("qlstm_tract", 2, "QLinearConv")],
)
def test_published_models_with_bodies_list_their_layers(name: str, layers: int, op: str) -> None:
    path = ZOO / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"no models in {ZOO} (set ONNXDUP_ZOO)")
    found = trace(load(path)).layers
    assert len(found) == layers and op in {x.op_type for x in found}
    assert all("inside a subgraph of node" in (x.reason or "") for x in found)
    assert all(x.rows().shape == (x.filters, x.fan_in) for x in found)
