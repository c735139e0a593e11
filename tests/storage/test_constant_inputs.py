"""--constant-inputs: weights that are graph inputs become constants, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from laws import surgeon
from laws.oracle import relative_error, run_runtime
from storage.zoo_models import published

from onnxdup import api
from onnxdup.channels import trace
from onnxdup.cli import main
from onnxdup.errors import UsageError
from onnxdup.graph import Document, load, write

ENTRY = ARCHITECTURES["listed_as_input_ir8"]


def planted() -> onnx.ModelProto:
    """Overridable weights with two copies in the hidden layer."""
    model = ENTRY.model()
    group = next(g for g in trace(load(model).with_constant_inputs()).groups if g.frozen is None)
    for target in (1, 2):
        model = surgeon.plant(model, group, 0, target)
    return model


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    """The model as a file."""
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def proto(document: Document, folder: Path) -> onnx.ModelProto:
    """A document as it is written."""
    return onnx.load(write(document, folder / "written.onnx")[0])


def test_only_the_inputs_change(tmp_path: Path) -> None:
    model = planted()
    fixed = proto(load(model).with_constant_inputs(), tmp_path)
    kept = [v for v in model.graph.input if v.name == "x"]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    assert fixed.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_without_overridable_weights_nothing_happens() -> None:
    document = load(ARCHITECTURES["mlp"].model())
    assert document.with_constant_inputs() is document


def test_only_overridable_weights_can_be_fixed() -> None:
    with pytest.raises(UsageError, match="override"):
        load(ARCHITECTURES["mlp"].model()).edit().fix_inputs(["w1"])


def test_merge_frees_them_and_says_so(tmp_path: Path) -> None:
    model = planted()
    path = saved(model, tmp_path)
    assert api.merge(path).plan.merges == ()
    merged = api.merge(path, constant_inputs=True, output=tmp_path / "small.onnx")
    small = onnx.load(tmp_path / "small.onnx")
    assert [v.name for v in small.graph.input] == ["x"]
    assert surgeon.read(small, "w1").shape == (14, 20)
    assert relative_error(run_runtime(model, ENTRY.feeds()), run_runtime(small, ENTRY.feeds())) < 2e-5
    assert any("callers cannot replace 4 initializers" in note for note in merged.report.notes)
    checked = api.verify(path, tmp_path / "small.onnx")
    assert checked.status == "passed"
    assert any(c.name == "ledger" and c.status == "passed" for c in checked.checks)


def test_plans_remember_it(tmp_path: Path) -> None:
    path = saved(planted(), tmp_path)
    merged = api.merge(path, constant_inputs=True)
    merged.save_plan(tmp_path / "plan.json")
    again = api.merge(path, plan=tmp_path / "plan.json")
    assert again.plan.constant_inputs
    assert proto(again.document, tmp_path) == proto(merged.document, tmp_path)


def test_nothing_to_merge_is_the_input(tmp_path: Path) -> None:
    path = saved(ENTRY.model(), tmp_path)
    api.merge(path, constant_inputs=True, output=tmp_path / "same.onnx")
    assert (tmp_path / "same.onnx").read_bytes() == path.read_bytes()


def test_report_shows_what_would_be_possible(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(planted(), tmp_path)
    assert main(["report", str(path), "--tau", "1", "--json"]) == 0
    frozen = json.loads(capsys.readouterr().out)["models"][0]
    assert main(["report", str(path), "--tau", "1", "--json", "--constant-inputs"]) == 0
    free = json.loads(capsys.readouterr().out)["models"][0]
    assert frozen["totals"]["taus"][0]["removable"] == 0
    assert "--constant-inputs" in frozen["obstacles"][0]["reason"]
    assert free["totals"]["taus"][0]["removable"] == 2
    assert "callers cannot replace" in free["notes"][0]


@pytest.mark.parametrize("name", ["ultraface_rfb_320", "deeplab_dm05_513"])
def test_published_models(name: str) -> None:
    model = onnx.load(published(f"{name}.onnx"))
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    groups = trace(load(model).with_constant_inputs()).groups
    free = [g for g in groups if g.frozen is None and g.size >= 2]
    for group in free:
        model = surgeon.plant(model, group, 0, 1)
    assert api.merge(model, samples=1).plan.merges == ()
    merged = api.merge(model, constant_inputs=True, samples=1)
    removed = sum(m.size - len(m.keep) for m in merged.plan.merges)
    assert removed >= len(free) > 0
    assert merged.report.status == "passed"
    assert all(np.isfinite(f.max_absolute_error) for f in merged.report.fidelity)
