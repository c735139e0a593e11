"""Weights of the main graph that bodies read: merged where every reader inside agrees, and only there."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import onnx
import pytest
from laws import surgeon
from laws.bench import merged, serialise
from laws.oracle import relative_error, run_runtime
from onnx import numpy_helper, parser

from onnxdup.channels import trace
from onnxdup.graph import check, load
from onnxdup.reduce import merge
from onnxdup.reporting.ledger import derive, ledger_of

HEAD = '<ir_version: 8, opset_import: ["": 17, "local": 1]>\ng (float[N,20] x, bool k) => (float[N,5] y) {'
SHAPES = {"w1": (16, 20), "b1": (16,), "w2": (5, 16), "b2": (5,), "v1": (12, 20), "c1": (12,), "v2": (5, 12)}
SHAPES |= {"m1": (20, 16), "m2": (16, 5), "w3": (16, 16), "s1": (16,), "w5": (5, 20), "p1": (16,)}
LAYER = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a)"
NET = f"{LAYER} {{0}}=Gemm<transB=1>(r,w2,b2)"
PLAIN = "{0}=Gemm<transB=1>(x,w5)"
OUTER = "h=Gemm<transB=1>(x,w1,b1) g=Relu(h) z=Gemm<transB=1>(g,w2,b2)"


def branches(then: str, otherwise: str) -> str:
    """An If on k that returns float[N,5]."""
    return (
        f" i=If(k)<then_branch = t () => (float[N,5] o) {{ {then.format('o')} }}, "
        f"else_branch = e () => (float[N,5] p) {{ {otherwise.format('p')} }}> "
    )


def loop(body: str) -> str:
    """Three turns that add what the body makes of x; `again` and `three` are constants."""
    head = "b (int64 n, bool c, float[N,5] s) => (bool d, float[N,5] q)"
    graph = f"{head} {{ d=Identity(c) {body.format('o')} q=Add(s,o) }}"
    return f" s0=Gemm<transB=1>(x,w5) i=Loop(three,again,s0)<body = {graph}> "


TO_THE_END = " y=Add(z,i)"
ALONE = " y=Identity(i)"
FUNCTION = (
    '<domain: "local", opset_import: ["": 17]>\n'
    "Block (z, w, b, v) => (u) { p=Gemm<transB=1>(z,w,b) r=Relu(p) u=Gemm<transB=1>(r,v) }"
)
# fmt: off
FREE = {
    "then": OUTER + branches(NET, PLAIN) + TO_THE_END,
    "both": OUTER + branches(NET, NET) + TO_THE_END,
    "inside only": branches(NET, PLAIN) + ALONE,
    "activation": LAYER
    + branches("{0}=Gemm<transB=1>(r,w2,b2)", "q=Neg(r) {0}=Gemm<transB=1>(q,w2)")
    + ALONE,
    "activation and outside": LAYER
    + branches("{0}=Gemm<transB=1>(r,w2)", PLAIN)
    + " z=Gemm<transB=1>(r,w2,b2)"
    + TO_THE_END,
    "other layer": OUTER
    + branches("a=Gemm<transB=1>(x,v1,c1) r=Tanh(a) {0}=Gemm<transB=1>(r,v2)", PLAIN)
    + TO_THE_END,
    "carriers": OUTER
    + branches(LAYER + " m=Mul(r,s1) t=PRelu(m,p1) {0}=Gemm<transB=1>(t,w2)", PLAIN)
    + TO_THE_END,
    "matmul": branches("a=MatMul(x,m1) c=Add(a,b1) r=Relu(c) {0}=MatMul(r,m2)", PLAIN) + ALONE,
    "two layers": branches(LAYER + " d=Gemm<transB=1>(r,w3) f=Tanh(d) {0}=Gemm<transB=1>(f,w2)", PLAIN)
    + ALONE,
    "transposed outside": "t1=Transpose<perm=[1,0]>(m1) "
    + branches("a=Gemm<transB=1>(x,t1,b1) r=Relu(a) {0}=MatMul(r,m2)", PLAIN)
    + ALONE,
    "loop": loop(NET) + ALONE,
    "loop and outside": OUTER + loop(NET) + TO_THE_END,
    "function": "i=local.Block(x,w1,b1,w2)" + ALONE,
    "function twice": "i=local.Block(x,w1,b1,w2) j=Neg(x) z=local.Block(j,w1,b1,w2)" + TO_THE_END,
    "function and outside": OUTER + " i=local.Block(x,w1,b1,w2)" + TO_THE_END,
}
FROZEN = {
    "returned": branches("{0}=Gemm<transB=1>(x,w5)", "q=Gemm<transB=1>(x,w5) {0}=Neg(q)") + ALONE,
    "moved inside": branches(
        "t=Transpose<perm=[1,0]>(m1) a=Gemm<transB=1>(x,t) r=Relu(a) {0}=MatMul(r,m2)", PLAIN
    )
    + ALONE,
    "computed with inside": OUTER
    + branches("e=Add(w2,w2) f=ReduceSum<keepdims=0>(e) q=Gemm<transB=1>(x,w5) {0}=Mul(q,f)", PLAIN)
    + TO_THE_END,
    "count read": OUTER
    + branches("q=Shape(g) l=Gather(q,one) f=Cast<to=1>(l) t=Gemm<transB=1>(x,w5) {0}=Mul(t,f)", PLAIN)
    + TO_THE_END,
    "reshaped inside": LAYER + branches("t=Reshape(r,flat) {0}=Gemm<transB=1>(t,w2)", PLAIN) + ALONE,
    "nested": LAYER
    + branches(
        "{0}=If(k)<then_branch = t2 () => (float[N,5] o2) { o2=Gemm<transB=1>(r,w2) }, "
        "else_branch = e2 () => (float[N,5] p2) { p2=Gemm<transB=1>(x,w5) }>".replace("{ ", "{{ ").replace(
            " }", " }}"
        ),
        PLAIN,
    )
    + ALONE,
    "normalised inside": LAYER + branches("t=Softmax(r) {0}=Gemm<transB=1>(t,w2)", PLAIN) + ALONE,
}
# fmt: on
VALUES = {"three": np.array(3), "again": np.array(True), "one": np.array(1), "flat": np.array([-1, 16])}


def model(body: str, name: str) -> onnx.ModelProto:
    """Weights as initializers of the main graph, drawn from a seed made of the name."""
    made = parser.parse_model(f"{HEAD} {body} }}\n" + (FUNCTION if "local." in body else ""))
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    text = body + FUNCTION if "local." in body else body
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    for weight, shape in SHAPES.items():
        if weight in words:
            values = rng.normal(size=shape) / np.sqrt(shape[-1])
            made.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), weight))
    for constant in [c for c in VALUES if c in words]:
        made.graph.initializer.append(numpy_helper.from_array(VALUES[constant], constant))
    for index, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}_{index}"
    onnx.checker.check_model(made)
    return made


def error(before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    """The largest relative error over both branches."""
    x = np.random.default_rng(3).normal(size=(4, 20)).astype(np.float32)
    names = {i.name for i in before.graph.input}
    feeds = [{n: v for n, v in {"x": x, "k": np.array(k)}.items() if n in names} for k in (True, False)]
    return max(relative_error(run_runtime(before, f), run_runtime(after, f)) for f in feeds)


def free_groups(made: onnx.ModelProto) -> list:
    return [g for g in trace(load(made)).groups if g.frozen is None]


def rearranged(
    made: onnx.ModelProto, group: Any, order: np.ndarray, *, rows_only: bool = False
) -> onnx.ModelProto:
    """Channel c becomes channel `order`[c], in all tensors of the group or only in those that make it."""
    made = surgeon.copy_of(made)
    for binding in group.bindings:
        if rows_only and binding.role.name == "CONSUMER":
            continue
        tensor = surgeon.read(made, binding.tensor).copy()
        rows = surgeon.by_channel(tensor, binding)
        rows[binding.index] = rows[binding.index[order]]
        surgeon.store(made, binding.tensor, tensor)
    return made


def copy(group: Any, source: int, target: int) -> np.ndarray:
    """The order in which `target` is a copy of `source`."""
    order = np.arange(group.size)
    order[target] = source
    return order


@pytest.mark.parametrize("name", FREE)
def test_permutation_changes_nothing(name: str) -> None:
    made = model(FREE[name], name)
    groups = free_groups(made)
    assert groups, [(g.name, str(g.frozen)) for g in trace(load(made)).groups]
    for group in groups:
        moved = rearranged(made, group, np.roll(np.arange(group.size), 3))
        assert serialise(load(moved)) != serialise(load(made))
        assert error(made, moved) <= 2e-5


@pytest.mark.parametrize("name", FREE)
def test_planted_copies_go(name: str) -> None:
    made = model(FREE[name], name)
    count = 0
    for group in free_groups(made):
        made = rearranged(made, group, copy(group, 1, 4), rows_only=True)
        made = rearranged(made, group, copy(group, 2, 7), rows_only=True)
        count += 2
    found = merge(load(made))
    small = onnx.ModelProto.FromString(serialise(found.document))
    check(found.document)
    assert found.removed == count
    assert error(made, small) <= 2e-5
    assert serialise(merge(found.document).document) == serialise(found.document)
    assert derive(load(made), found.document, ledger_of(found.plan, 4.0)).status == "passed"


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_near_misses_do_no_harm(name: str, moved: int) -> None:
    """One entry of one row differs."""
    made = model(FREE[name], name)
    for group in free_groups(made):
        made = rearranged(made, group, copy(group, 1, 4), rows_only=True)
        rows = [b for b in group.bindings if b.role.name != "CONSUMER"]
        binding = rows[moved % len(rows)]
        tensor = surgeon.read(made, binding.tensor).copy()
        np.moveaxis(tensor, binding.axis, 0)[int(binding.index[4, 0])] += np.float32(1e-3)
        surgeon.store(made, binding.tensor, tensor)
    assert error(made, merged(made)) <= 2e-5


@pytest.mark.parametrize("name", [*FREE, *FROZEN])
@pytest.mark.parametrize("seed", range(4))
def test_duplicates_in_some_tensors_do_no_harm(name: str, seed: int) -> None:
    """Rows and columns are copied in a random part of the weights: whatever goes, the outputs stay."""
    made = model({**FREE, **FROZEN}[name], name)
    rng = np.random.default_rng(seed)
    surgeon.copy_some(made, rng, spared=0.25, least=12)
    assert error(made, merged(made)) <= 2e-5


@pytest.mark.parametrize("name", FROZEN)
def test_what_a_body_decides_is_frozen_and_named(name: str) -> None:
    made = model(FROZEN[name], name)
    nodes = {n.name for n in made.graph.node}
    groups = trace(load(made)).groups
    assert groups and all(g.frozen is not None and g.frozen.node in nodes for g in groups), free_groups(made)
    assert any("inside" in g.frozen.reason for g in groups if g.frozen)
