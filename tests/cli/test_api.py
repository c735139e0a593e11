"""The Python API: any kind of model, nothing printed, nothing changed, results as values."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnx_ir as ir
import pytest
from cli_models import data, mlp, save

import onnxdup
from onnxdup.errors import GateFailed, UsageError
from onnxdup.evaluation import Dataset

FORMS = {
    "path": lambda folder: str(save(mlp(), folder / "m.onnx")),
    "Path": lambda folder: save(mlp(), folder / "m.onnx"),
    "ModelProto": lambda folder: mlp(),
    "graphsurgeon": lambda folder: gs.import_onnx(mlp()),
    "onnx-ir": lambda folder: ir.from_proto(mlp()),
    "Document": lambda folder: onnxdup.load(mlp()),
}


@pytest.fixture(params=FORMS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    return FORMS[request.param](tmp_path)


def test_every_function_takes_every_kind_of_model_and_prints_nothing(
    model: object, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert onnxdup.report(model, taus=(1.0,)).totals.taus[0].removable == 1
    assert onnxdup.evaluate(model, latency=False).parameters == 51
    merged = onnxdup.merge(model)
    assert merged.report.status == "passed" and merged.report.filters.after == 8
    found = onnxdup.verify(model, merged.save(tmp_path / "out.onnx"))
    assert found.status == "passed" and any(c.name == "ledger" for c in found.checks)
    assert capfd.readouterr() == ("", "")


def test_arguments_are_not_changed() -> None:
    proto = mlp()
    before = proto.SerializeToString()
    onnxdup.merge(proto, tau=0.5)
    onnxdup.report(proto)
    assert proto.SerializeToString() == before


def test_names_are_lazy_listed_and_documented() -> None:
    for name in onnxdup.__all__:
        assert name in dir(onnxdup) and (name.startswith("_") or inspect.getdoc(getattr(onnxdup, name)))
    with pytest.raises(AttributeError, match="nothing"):
        _ = onnxdup.nothing  # type: ignore[attr-defined]


def test_functions_stay_functions_after_the_packages_are_imported() -> None:
    for package in ("reporting.build", "merging", "evaluation", "api", "cli"):
        importlib.import_module(f"onnxdup.{package}")
    assert all(
        inspect.isfunction(getattr(onnxdup, n)) for n in ("report", "merge", "evaluate", "verify", "load")
    )


def test_nothing_is_written_without_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    onnxdup.merge(mlp(), tau=0.5)
    assert not list(tmp_path.iterdir())


def test_output_writes_model_and_ledger(tmp_path: Path) -> None:
    merged = onnxdup.merge(mlp(), output=tmp_path / "out.onnx")
    assert merged.report.output is not None and merged.report.output.path == str(tmp_path / "out.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.onnx", "out.onnx.ledger.json"]
    onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)


def test_rejected_carries_the_report(tmp_path: Path) -> None:
    samples = str(data(tmp_path / "d.npz"))
    with pytest.raises(onnxdup.Rejected, match="accuracy falls") as caught:
        onnxdup.merge(mlp(), tau=0.01, data=samples, max_drop=0.0)
    assert isinstance(caught.value, GateFailed) and caught.value.report.status == "failed"
    with pytest.raises(UsageError, match="--data"):
        onnxdup.merge(mlp(), max_drop=0.0)


def test_data_in_memory() -> None:
    x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    y = np.arange(16) % 3
    for given in ((x, y), {"x": x, "y": y}, Dataset({"x": x}, y)):
        found = onnxdup.evaluate(mlp(), given, latency=False)
        assert found.accuracy is not None and found.accuracy.samples == 16


def test_plans_are_values() -> None:
    first = onnxdup.merge(mlp(), tau=0.5)
    again = onnxdup.merge(mlp(), plan=first.plan)
    assert again.document.sha256() == first.document.sha256()


def test_progress_is_told_what_happens() -> None:
    steps: list[str] = []
    onnxdup.merge(mlp(), progress=steps.append)
    assert "running both models" in steps
