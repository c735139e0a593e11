"""Shared weights whose readers disagree: copied where merging saves more than the copy takes, else left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from laws.bench import serialise
from laws.oracle import relative_error, run_runtime
from onnx import numpy_helper, parser

import onnxdup
from onnxdup.graph import load
from onnxdup.merging import MergePlan
from onnxdup.reduce import Reduction, merge, replay
from onnxdup.reporting.build import obstacles
from onnxdup.reporting.ledger import Ledger, derive, ledger_of, read

HEAD = '<ir_version: 8, opset_import: ["": 17]>\ng (float[N,20] x) => (float[N,20] y) { '
HIDDEN = 16
TIED = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) y=Gemm(r,w1,b2)"
MOVED = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) t=Transpose<perm=[1,0]>(w1) y=Gemm<transB=1>(r,t,b2)"
BRANCH = (
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) q=ReduceSum<keepdims=0>(x) k=Greater(q,zero) "
    "i=If(k)<then_branch = t () => (float[N,16] o) { o=Gemm<transB=1>(x,w1) }, "
    "else_branch = e () => (float[N,16] p) { u=Gemm<transB=1>(x,w1) p=Neg(u) }> "
    "c=Gemm(r,w5,b2) d=Gemm(i,w6) y=Add(c,d)"
)
SHAPES = {"w1": (HIDDEN, 20), "b1": (HIDDEN,), "b2": (20,), "w5": (HIDDEN, 20), "w6": (HIDDEN, 20)}
FEEDS = {"x": np.random.default_rng(1).normal(size=(3, 20)).astype(np.float32)}


def model(body: str, copies: int, names: str = "w1 b1 b2") -> onnx.ModelProto:
    """`copies` of the hidden units repeat unit 0."""
    made = parser.parse_model(HEAD + body + " }")
    rng = np.random.default_rng(7)
    for name in names.split():
        values = (
            rng.normal(size=SHAPES[name]).astype(np.float32) if name in SHAPES else np.array(0.0, np.float32)
        )
        if name in ("w1", "b1"):
            values[1 : 1 + copies] = values[0]
        made.graph.initializer.append(numpy_helper.from_array(values, name))
    for index, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}_{index}"
    onnx.checker.check_model(made, full_check=True)
    return made


def size(made: onnx.ModelProto) -> int:
    """Bytes of the weights."""
    return sum(numpy_helper.to_array(t).nbytes for t in made.graph.initializer)


def reduced(made: onnx.ModelProto) -> tuple[Reduction, onnx.ModelProto]:
    """The exact pass, with equal outputs."""
    found = merge(load(made))
    small = onnx.ModelProto.FromString(serialise(found.document))
    onnx.checker.check_model(small, full_check=True)
    assert relative_error(run_runtime(made, FEEDS), run_runtime(small, FEEDS)) <= 2e-5
    return found, small


@pytest.mark.parametrize("body", [TIED, MOVED], ids=["two roles", "behind a transpose"])
@pytest.mark.parametrize("copies", [0, 1, 7, 8, 12])
def test_a_copy_is_made_where_it_pays(body: str, copies: int) -> None:
    """Each unit that goes takes a row of both copies and a bias with it; the copy takes as much as w1."""
    made = model(body, copies)
    found, small = reduced(made)
    pays = copies * (2 * 20 + 1) > HIDDEN * 20
    assert found.removed == (copies if pays else 0)
    assert bool(found.plan.clones) == pays
    assert size(made) - size(small) == (4 * (copies * (2 * 20 + 1) - HIDDEN * 20) if pays else 0)
    if not found.changed:
        assert found.document is found.before.document


def test_what_does_not_pay_says_so_in_bytes() -> None:
    found, _ = reduced(model(TIED, 2))
    (reason,) = (o.reason for o in obstacles(found.before, found.declined) if "two roles" in o.reason)
    assert reason == (
        "a weight is shared in two roles; a copy would add 1280 bytes, merging would save 328 bytes"
    )
    found, _ = reduced(model(TIED, 0))
    (reason,) = (o.reason for o in obstacles(found.before, found.declined) if "two roles" in o.reason)
    assert (
        reason == "a weight is shared in two roles; a copy would add 1280 bytes, nothing could be merged then"
    )


def test_the_original_stays_where_a_branch_reads_it() -> None:
    made = model(BRANCH, 12, "w1 b1 b2 w5 w6 zero")
    found, small = reduced(made)
    assert found.removed == 12
    shapes = {t.name: tuple(t.dims) for t in small.graph.initializer}
    assert shapes["w1"] == (HIDDEN, 20) and shapes["w1_1"] == (HIDDEN - 12, 20)


def test_without_clones_nothing_is_copied() -> None:
    assert not merge(load(model(TIED, 12)), clones=False).changed


def test_a_plan_with_copies_replays() -> None:
    made = model(TIED, 12)
    found = merge(load(made))
    plan = MergePlan.from_json(found.plan.to_json())
    assert plan.clones == found.plan.clones == ((("Gemm_2", 1),),)
    assert serialise(replay(load(made), plan).document) == serialise(found.document)


def test_a_ledger_with_copies_is_derived_again(tmp_path: Path) -> None:
    made = model(TIED, 12)
    found = merge(load(made))
    path = tmp_path / "ledger.json"
    path.write_text(ledger_of(found.plan, 4.0).to_json())
    ledger = read(path)
    assert derive(load(made), found.document, ledger).status == "passed"
    without = Ledger(ledger.source, ledger.ulps, ledger.complete, ledger.rounds, ledger.shapes)
    assert derive(load(made), found.document, without).status == "failed"


def test_the_command_verifies_what_it_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(model(TIED, 12), source)
    done = onnxdup.merge(source, output=target, provider="cpu")
    assert done.report.status == "passed"
    assert done.report.filters.after < done.report.filters.before
    assert done.report.parameters.after < done.report.parameters.before
    assert "shared weights were copied for Gemm_2: merging saves more" in done.report.notes
