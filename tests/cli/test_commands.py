"""The four commands on models that are fine: artefacts, files, exit codes, and what verification refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import onnx
import pytest
from cli_models import data, external, mlp, save, weights
from cli_tools import ROOT, Done
from onnx import numpy_helper

from onnxdup.reporting.formats import from_json
from onnxdup.reporting.schema import MergeReport

Cli = Callable[..., Done]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(mlp(), tmp_path / "m.onnx")


def noisy() -> onnx.ModelProto:
    """The model with unit 5 near, not equal to, a multiple of unit 0."""
    w1 = weights()["w1"]
    w1[5] += np.float32(0.05)
    return mlp(w1=w1)


def validate(text: str, name: str) -> dict[str, object]:
    """Parses JSON output and validates it against the shipped schema."""
    document: dict[str, object] = json.loads(text)
    jsonschema.validate(document, json.loads((files("onnxdup.reporting") / "schemas" / name).read_text()))
    return document


def test_report_in_every_format(cli: Cli, model: Path) -> None:
    assert "w1" in cli("report", model).out
    validate(cli("report", model, "--json").out, "report.json")
    assert cli("report", model, "--format", "markdown").out.startswith("### ")
    assert ET.fromstring(cli("report", model, "--format", "junit").out.encode()).tag == "testsuites"
    assert cli("report", model, "--format", "github").out.startswith("::notice file=")


def test_report_file_beside_the_text(cli: Cli, model: Path) -> None:
    for name, start in (("r.json", "{"), ("r.md", "### "), ("r.xml", "<?xml"), ("r.txt", str(model))):
        done = cli("report", model, "--report", name)
        assert done.code == 0 and done.out.startswith(str(model)) and Path(name).read_text().startswith(start)


def test_report_of_taus_and_spectra(cli: Cli, model: Path) -> None:
    document = validate(
        cli("report", model, "--tau", "0.5", "--tau", "1", "--spectra", "--json").out, "report.json"
    )
    layers = document["models"][0]["layers"]  # type: ignore[index]
    assert [t["tau"] for t in layers[0]["taus"]] == [1.0, 0.5]
    assert len(layers[0]["spectrum"]["singular_values"]) == 4


def test_stdout_holds_the_artefact_and_nothing_else(shell: Cli, model: Path) -> None:
    done = shell("report", model, "--json", "--progress", "on")
    assert done.code == 0 and json.loads(done.out)
    done = shell("merge", model, "-o", "out.onnx", "--json", "-v", "--progress", "on")
    assert done.code == 0 and json.loads(done.out) and done.err
    done = shell("merge", model, "-o", "out.onnx", "--json", "-q")
    assert done.code == 0 and json.loads(done.out) and not done.err


def test_very_verbose_shows_the_log_of_the_runtime(shell: Cli, model: Path) -> None:
    done = shell("evaluate", model, "--json", "--no-latency", "-vv")
    assert done.code == 0 and json.loads(done.out) and "onnxdup.runtime: " in done.err


def test_closed_stdout_is_no_error(model: Path, shell: Cli) -> None:
    import subprocess
    import sys

    command = f'"{sys.executable}" -m onnxdup report "{model}" --json | head -c 1'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stderr == ""


def test_exact_merge(cli: Cli, model: Path) -> None:
    before = model.read_bytes()
    done = cli("merge", model, "-o", "out.onnx", "--json", "--data", data(Path("d.npz")))
    assert done.code == 0, done.err
    report = from_json(done.out)
    validate(done.out, "merge.json")
    assert isinstance(report, MergeReport) and report.status == "passed"
    assert (report.filters.before, report.filters.after, report.plan.exact) == (9, 8, 1)
    assert report.accuracy_before == report.accuracy_after and report.paired.drop == 0  # type: ignore[union-attr]
    assert {c.name for c in report.checks} >= {"loads and runs", "finite outputs", "exact within rounding"}
    assert model.read_bytes() == before
    written = onnx.load("out.onnx")
    assert {t.name: list(t.dims) for t in written.graph.initializer}["w1"] == [5, 4]
    assert report.output is not None and report.output.bytes == Path("out.onnx").stat().st_size
    assert sorted(p.name for p in Path().iterdir()) == ["d.npz", "m.onnx", "out.onnx", "out.onnx.ledger.json"]


def test_stamp_and_no_stamp(cli: Cli, model: Path) -> None:
    assert cli("merge", model, "-o", "out.onnx").code == 0
    stamp = {p.key: p.value for p in onnx.load("out.onnx").metadata_props}
    assert stamp["onnxdup.method"] == "exact" and len(stamp["onnxdup.source_sha256"]) == 64
    assert cli("merge", model, "-o", "bare.onnx", "--no-stamp").code == 0
    assert not onnx.load("bare.onnx").metadata_props


def test_same_input_gives_the_same_bytes(cli: Cli, model: Path) -> None:
    for name in ("a", "b"):
        assert cli("merge", model, "-o", f"{name}.onnx", "--tau", "0.5").code == 0
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()
    assert Path("a.onnx.ledger.json").read_bytes() == Path("b.onnx.ledger.json").read_bytes()


def test_nothing_to_merge_copies_byte_for_byte(cli: Cli, model: Path) -> None:
    assert cli("merge", model, "-o", "once.onnx").code == 0
    done = cli("merge", "once.onnx", "-o", "twice.onnx")
    assert done.code == 0 and "Nothing to merge" in done.out
    assert Path("once.onnx").read_bytes() == Path("twice.onnx").read_bytes()
    assert not Path("twice.onnx.ledger.json").exists()


def test_in_place(cli: Cli, model: Path) -> None:
    assert cli("merge", model, "--in-place").code == 0
    assert len(onnx.load(model).graph.initializer[0].dims) == 2
    assert numpy_helper.to_array(onnx.load(model).graph.initializer[0]).shape == (5, 4)


def test_external_data_stays_external(cli: Cli, tmp_path: Path) -> None:
    source = external(tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    done = cli("merge", source, "-o", "out/m.onnx")
    assert done.code == 0, done.err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "m.onnx",
        "m.onnx.data",
        "m.onnx.ledger.json",
    ]
    assert cli("verify", source, "out/m.onnx").code == 0


@pytest.mark.parametrize("limit", [("--max-drop", "0"), ("--min-agreement", "100")])
def test_a_missed_limit_writes_nothing(cli: Cli, model: Path, limit: tuple[str, str]) -> None:
    samples = data(Path("d.npz"))
    before = sorted(Path().iterdir())
    done = cli("merge", model, "-o", "out.onnx", "--tau", "0.01", "--data", samples, *limit)
    assert done.code == 1 and "nothing was written" in done.out
    assert done.err.splitlines()[-1].startswith("onnxdup: error: ") and sorted(Path().iterdir()) == before


def test_keep_rejected(cli: Cli, model: Path) -> None:
    arguments = ("--tau", "0.01", "--data", data(Path("d.npz")), "--max-drop", "0", "--keep-rejected")
    done = cli("merge", model, "-o", "out.onnx", *arguments)
    assert done.code == 1 and "out.rejected.onnx" in done.err
    assert Path("out.rejected.onnx").exists() and not Path("out.onnx").exists()


def test_rejected_json_says_what_failed(cli: Cli, model: Path) -> None:
    arguments = ("--tau", "0.01", "--data", data(Path("d.npz")), "--max-drop", "0", "--json")
    document = validate(cli("merge", model, "-o", "out.onnx", *arguments).out, "merge.json")
    assert document["status"] == "failed" and document["output"] is None


def test_near_duplicates_need_a_tau(cli: Cli, tmp_path: Path) -> None:
    path = save(noisy(), tmp_path / "n.onnx")
    assert "Nothing to merge" in cli("merge", path, "-o", "a.onnx").out
    done = cli("merge", path, "-o", "b.onnx", "--tau", "0.99")
    assert done.code == 0 and "Removed 0 channels by exact relations and 1 by cluster" in done.out


@pytest.mark.parametrize("method", ["paper", "norm", "cluster", "exact"])
def test_methods(cli: Cli, model: Path, method: str) -> None:
    done = cli("merge", model, "-o", "out.onnx", "--tau", "0.99", "--method", method, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["plan"]["method"] == method


def test_unknown_method(cli: Cli, model: Path) -> None:
    done = cli("merge", model, "-o", "out.onnx", "--tau", "0.9", "--method", "magic")
    assert done.code == 2 and "magic" in done.err and not Path("out.onnx").exists()


def test_plan_is_replayed(cli: Cli, model: Path, tmp_path: Path) -> None:
    assert cli("merge", model, "-o", "a.onnx", "--tau", "0.5", "--plan-out", "p.json").code == 0
    assert cli("merge", model, "-o", "b.onnx", "--plan", "p.json").code == 0
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()
    other = save(noisy(), tmp_path / "n.onnx")
    assert cli("merge", other, "-o", "c.onnx", "--plan", "p.json").code == 2
    Path("bad.json").write_text("{}")
    assert cli("merge", model, "-o", "c.onnx", "--plan", "bad.json").code == 3
    assert cli("merge", model, "-o", "c.onnx", "--plan", "none.json").code == 3
    assert not Path("c.onnx").exists()


def test_include_and_exclude(cli: Cli, model: Path) -> None:
    assert "Nothing to merge" in cli("merge", model, "-o", "a.onnx", "--exclude", "w1").out
    assert "Removed 1" in cli("merge", model, "-o", "b.onnx", "--include", "w1").out
    assert cli("merge", model, "-o", "c.onnx", "--include", "nothing*").code == 2


def test_verify_derives_the_ledger(cli: Cli, model: Path) -> None:
    cli("merge", model, "-o", "out.onnx")
    done = cli("verify", model, "out.onnx", "--json")
    document = validate(done.out, "verification.json")
    checks = {c["name"]: c for c in document["checks"]}  # type: ignore[attr-defined]
    assert done.code == 0 and checks["ledger"]["detail"].startswith("1 exact merges derived")
    assert checks["exact within rounding"]["status"] == "passed"


def test_verify_refuses_a_forged_ledger_or_model(cli: Cli, model: Path, tmp_path: Path) -> None:
    cli("merge", model, "-o", "out.onnx")
    ledger = json.loads(Path("out.onnx.ledger.json").read_text())
    ledger["rounds"][0][0]["entries"][0]["a"] = 3.0
    Path("forged.json").write_text(json.dumps(ledger))
    done = cli("verify", model, "out.onnx", "--ledger", "forged.json")
    assert done.code == 1 and "cannot be derived" in done.out
    forged = onnx.load("out.onnx")
    changed = numpy_helper.to_array(forged.graph.initializer[0]) + np.float32(1e-7)
    forged.graph.initializer[0].CopyFrom(numpy_helper.from_array(changed, forged.graph.initializer[0].name))
    save(forged, tmp_path / "forged.onnx")
    done = cli("verify", model, "forged.onnx", "--ledger", "out.onnx.ledger.json")
    assert done.code == 1 and "is not what its merges make" in done.out


def test_verify_refuses_the_ledger_of_another_model(cli: Cli, model: Path, tmp_path: Path) -> None:
    cli("merge", model, "-o", "out.onnx")
    other = save(noisy(), tmp_path / "n.onnx")
    done = cli("verify", other, "out.onnx")
    assert done.code == 1 and "another original" in done.out
    Path("bad.json").write_text("[]")
    assert cli("verify", model, "out.onnx", "--ledger", "bad.json").code == 3


def test_verify_without_a_ledger_holds_outputs_to_what_is_asked(
    cli: Cli, model: Path, tmp_path: Path
) -> None:
    other = save(noisy(), tmp_path / "n.onnx")
    done = cli("verify", model, other)
    assert done.code == 0 and "no ledger" in done.out
    assert cli("verify", model, other, "--rtol", "1e-5").code == 1
    assert cli("verify", model, other, "--rtol", "10").code == 0


def test_verify_refuses_other_interfaces(cli: Cli, model: Path, tmp_path: Path) -> None:
    other = mlp()
    other.graph.output[0].name = other.graph.node[-1].output[0] = "z2"
    path = save(other, tmp_path / "o.onnx")
    assert cli("verify", model, path).code == 3


def test_evaluate(cli: Cli, model: Path) -> None:
    document = validate(
        cli("evaluate", model, "--data", data(Path("d.npz")), "--json").out, "evaluation.json"
    )
    assert document["accuracy"]["top1"] == 1.0 and document["parameters"] == 51  # type: ignore[index]
    assert document["latency"]["median_ms"] > 0 and document["macs"] == 42  # type: ignore[index]
    done = cli("evaluate", model, "--no-latency")
    assert "Accuracy was not checked" in done.out and "latency" not in done.out


def test_random_models_cannot_be_verified(cli: Cli, tmp_path: Path) -> None:
    noise = mlp()
    node = noise.graph.node[0]
    node.output[0] = "z0"
    noise.graph.node.insert(1, onnx.helper.make_node("RandomNormalLike", ["z0"], ["r"]))
    noise.graph.node.insert(2, onnx.helper.make_node("Add", ["z0", "r"], ["z"]))
    path = save(noise, tmp_path / "r.onnx")
    done = cli("verify", path, path)
    assert done.code in (0, 4) and "Traceback" not in done.err


def test_verify_without_limits_still_tells_two_models_apart(cli: Cli, model: Path, tmp_path: Path) -> None:
    wider, negated = mlp(), mlp()
    weight, bias = wider.graph.initializer[-2:]
    for tensor, axis in ((weight, 0), (bias, 0)):
        array = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.concatenate([array, array], axis), tensor.name))
    del wider.graph.output[0].type.tensor_type.shape.dim[:]
    done = cli("verify", model, save(wider, tmp_path / "wider.onnx"))
    assert done.code == 1 and "same shapes" in done.out
    for tensor in negated.graph.initializer[-2:]:
        tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    other = save(negated, tmp_path / "negated.onnx")
    done = cli("verify", model, other)
    assert done.code == 1 and "further from the original's than zeros" in done.out
    done = cli("verify", model, other, "--min-agreement", "0")
    assert done.code == 0 and "no limit" not in done.out
