"""`onnxdup check` and `onnxdup doctor` as command lines: exit codes, configuration, archives, findings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import onnxdup
from onnxdup.api import environment
from onnxdup.cli import main
from onnxdup.errors import CannotVerify
from onnxdup.gate import schema_files
from onnxdup.graph import parse, write
from onnxdup.reporting.environment import of_environment
from onnxdup.runtime.environment import Library, library_names

TEXT = "mlp (float[N, 4] x) => (float[N, 3] y) { h = Gemm (x, w)  r = Relu (h)  y = Gemm (r, v) }"
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Check:
    """Runs `onnxdup …` in a folder with m.onnx, whose unit 5 is twice unit 0, and data.npz."""
    for name in [n for n in os.environ if n.startswith("ONNXDUP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    random = np.random.default_rng(0)
    w, v = random.normal(size=(4, 6)), random.normal(size=(6, 3))
    w[:, 5] = 2 * w[:, 0]
    write(parse(TEXT, w=w.astype(np.float32), v=v.astype(np.float32)), "m.onnx")
    x = random.normal(size=(64, 4)).astype(np.float32)
    y = (np.maximum(x @ w, 0) @ v).argmax(1)
    np.savez("data.npz", x=x, y=np.where(np.arange(64) < 60, y, (y + 1) % 3))

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([*map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def test_default_budget_finds_the_planted_duplicate(command: Check) -> None:
    code, out, _ = command("check", "m.onnx", "--no-isolate")
    assert code == 1 and "would remove 1 of 9 filters" in out and "No budget was given" in out


def test_inconclusive_is_1_unless_it_passes(command: Check) -> None:
    args = (
        "check",
        "m.onnx",
        "--base",
        "m.onnx",
        "--data",
        "data.npz",
        "--max-drop",
        "1",
        "--no-isolate",
        "--json",
    )
    code, out, _ = command(*args)
    assert (code, json.loads(out)["status"]) == (1, "inconclusive")
    jsonschema.validate(json.loads(out), json.loads((schema_files.FOLDER / "check.json").read_text()))
    code, out, _ = command(*args, "--inconclusive", "pass")
    assert (code, json.loads(out)["status"]) == (0, "inconclusive")
    assert command(*args, "--max-bytes", "1", "--inconclusive", "pass")[0] == 1


def test_archives_are_judged_without_the_model(command: Check) -> None:
    for name in ("report", "evaluate"):
        command(
            name,
            "m.onnx",
            *(["--data", "data.npz"] if name == "evaluate" else []),
            "--report",
            f"{name}.json",
        )
    compared = ("--base", "m.onnx", "--data", "data.npz", "--max-drop", "9", "--no-isolate")
    assert command("check", "m.onnx", *compared, "--report", "check.json")[0] == 0
    command("merge", "m.onnx", "-o", "s.onnx", "--data", "data.npz", "--report", "merge.json")
    command("verify", "m.onnx", "s.onnx", "--data", "data.npz", "--report", "verify.json")
    Path("m.onnx").unlink()
    assert command("check", "report.json", "--max-removable", "12")[0] == 0
    assert command("check", "report.json", "--max-removable", "11")[0] == 1
    assert command("check", "report.json", "--max-removable", "50", "--tau", "0.9")[0] == 0
    assert command("check", "report.json", "--max-removable", "50", "--tau", "0.7")[0] == 4
    assert command("check", "evaluate.json", "--max-drop", "9", "--base-accuracy", "94")[0] == 0
    for name in ("check", "merge", "verify"):
        assert command("check", f"{name}.json", "--max-drop", "8")[0] == 0, name
        assert command("check", f"{name}.json", "--max-drop", "1")[0] == 1, name
        assert command("check", f"{name}.json", "--min-agreement", "100")[0] == 0, name
    assert command("check", "merge.json", "--max-parameters", "1")[0] == 1
    assert command("check", "report.json", "--max-drop", "1")[0] == 4


def test_a_stored_accuracy_is_a_base(command: Check) -> None:
    command("evaluate", "m.onnx", "--data", "data.npz", "--report", "stored.json")
    args = ("check", "m.onnx", "--base", "stored.json", "--data", "data.npz", "--no-isolate", "--max-drop")
    code, out, _ = command(*args, "20")
    assert code == 0 and "below the stored 93.75 % (measured on 64 samples)" in out and "base" in out
    assert command(*args, "2")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nothing*.onnx",), 2, "matches no file"),
        (("m.onnx", "--max-drop", "1"), 2, "needs labelled data"),
        (("m.onnx", "--max-drop", "1", "--data", "data.npz"), 2, "something to fall from"),
        (("m.onnx", "--min-agreement", "99"), 2, "add --base MODEL"),
        (("m.onnx", "--max-bytes", "big"), 2, "is not an amount"),
        (("m.onnx", "--max-duplicates", "101"), 2, "101"),
        (("m.onnx", "--override", "nonsense"), 2, "GLOB:KEY=VALUE"),
        (("m.onnx", "--override", "*:max-bites=1"), 2, "did you mean max-bytes"),
        (("missing.onnx",), 3, "missing.onnx"),
        (("missing.json",), 3, "missing.json"),
        (("m.onnx", "--data", "missing.npz"), 3, "missing.npz"),
    ],
)
def test_errors_are_one_line_with_their_code(
    command: Check, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, _, err = command("check", *arguments, "--no-isolate", "-q")
    assert found == code and words in err and len(err.splitlines()) == 1, err


def test_a_glob_goes_on_after_a_broken_file(command: Check) -> None:
    Path("broken.onnx").write_bytes(b"")
    code, out, err = command("check", "*.onnx", "--no-isolate", "--max-bytes", "1MB", "--json")
    found = json.loads(out)
    assert (code, found["status"]) == (3, "error") and "broken.onnx" in err
    assert [m["status"] for m in found["models"]] == ["passed"] and found["failures"][0]["exit_code"] == 3


@pytest.mark.parametrize(("name", "prefix"), [("onnxdup.toml", ""), ("pyproject.toml", "tool.onnxdup.")])
def test_budgets_and_overrides_from_files(command: Check, name: str, prefix: str) -> None:
    table = f'[{prefix}check]\nmax-bytes = "1MB"\nisolate = false\n'
    Path(name).write_text(table)
    assert command("check", "m.onnx")[0] == 0
    Path(name).write_text(f'{table}[{prefix}check.override."m*.onnx"]\nmax-bytes = 5\n')
    assert command("check", "m.onnx")[0] == 1
    assert command("check", "m.onnx", "--override", "*.onnx:max-bytes=1MB")[0] == 0
    Path(name).write_text(f'{table}[{prefix}check.override."m*.onnx"]\nmax-bites = 5\n')
    code, _, err = command("check", "m.onnx")
    assert code == 2 and "did you mean max-bytes" in err
    Path(name).write_text(f"{table}[{prefix}check.override]\nmax-bytes = 5\n")
    assert command("check", "m.onnx")[0] == 2
    Path(name).write_text(f"[{prefix}check]\nmax-bites = 5\n")
    assert command("check", "m.onnx")[0] == 2


def test_limits_of_the_child_reach_it(command: Check) -> None:
    code, _, err = command("check", "m.onnx", "--time-limit", "0.01")
    assert code == 4 and "time limit of 0.01 s" in err


def test_check_writes_every_report_in_one_run(command: Check) -> None:
    names = ("a.json", "a.md", "a.xml", "a.sarif", "a.txt")
    reports = [x for name in names for x in ("--report", name)]
    command("check", "m.onnx", "--no-isolate", *reports)
    assert all(Path(name).stat().st_size > 100 for name in names)


def test_doctor_json_keeps_to_its_schema(command: Check) -> None:
    code, out, err = command("doctor", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    jsonschema.validate(found, json.loads((schema_files.FOLDER / "doctor.json").read_text()))
    assert found["tool"]["version"] == onnxdup.__version__ and found["packages"]["onnx"]
    assert found["auto"] == ("GPU" if found["gpu"]["works"] else "CPU")


def test_doctor_demands_a_gpu(command: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_gpu() -> str:
        raise CannotVerify("the GPU is not used: libcudnn.so.9 cannot be loaded", remedy="install it")

    monkeypatch.setattr(environment.here, "probe_gpu", no_gpu)
    code, out, err = command("doctor", "--provider", "cuda")
    assert code == 4 and "libcudnn.so.9 cannot be loaded; install it" in err and "libcudnn.so.9" in out
    monkeypatch.setattr(environment.here, "probe_gpu", lambda: "2 of 2 nodes on CUDA")
    code, out, _ = command("doctor", "--provider", "cuda")
    assert code == 0 and "GPU: works (2 of 2 nodes on CUDA)" in out


def test_doctor_finds_two_packages_in_one_folder() -> None:
    found = environment.problems(("onnxruntime 1.31.1", "onnxruntime-gpu 1.31.1"), (), "")
    assert "overwrite each other" in found[0].what
    assert found[0].remedy == 'pip uninstall -y onnxruntime onnxruntime-gpu && pip install "onnxdup[cuda]"'


def test_doctor_names_missing_libraries_where_there_is_a_driver() -> None:
    states = (Library("libcublas.so.13", False, "no"), Library("libcudart.so.13", True, ""))
    assert environment.problems((), states, "") == ()
    (problem,) = environment.problems((), states, "NVIDIA 580")
    assert "libcublas.so.13" in problem.what and "libcudart" not in problem.what


def test_doctor_without_onnxruntime(command: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> Any:
        raise CannotVerify("onnxruntime cannot be imported: none", remedy="pip install onnxdup")

    monkeypatch.setattr(environment.runtime, "available_providers", missing)
    monkeypatch.setattr(environment.here, "probe_gpu", missing)
    code, out, _ = command("doctor")
    assert code == 0 and "problem: onnxruntime cannot be imported" in out and "takes the CPU" in out


def test_library_names_follow_the_cuda_version() -> None:
    assert {"libcublas.so.13", "libcufft.so.12", "libcudnn.so.9"} <= set(library_names("13.0", "linux"))
    assert {"libcublas.so.12", "libcufft.so.11"} <= set(library_names("12.8", "linux"))
    assert {"cublas64_13.dll", "nvcuda.dll"} <= set(library_names("13.0", "win32"))


def test_the_views_hold_every_library() -> None:
    found = environment.examine()
    shown = json.dumps([getattr(block, "rows", ()) for block in of_environment(found)])
    assert all(x.name in shown for x in found.libraries)


def test_api_takes_every_kind_of_model(command: Check) -> None:
    import onnx
    import onnx_graphsurgeon as gs
    import onnx_ir as ir

    proto = onnx.load("m.onnx")
    for model in ("m.onnx", Path("m.onnx"), proto, gs.import_onnx(proto), ir.from_proto(proto)):
        found = onnxdup.check(model, max_removable=12, isolate=False)
        assert found.status == "passed" and found.models[0].facts.filters == 9
    with pytest.raises(CannotVerify):
        onnxdup.check("m.onnx", max_duplicates=1, isolate=onnxdup.Isolation(seconds=0.01))


def test_one_line_after_torch_export(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    with torch.no_grad():
        net[0].weight[7], net[0].bias[7] = 3 * net[0].weight[0], 3 * net[0].bias[0]
    exported = torch.onnx.export(net, (torch.zeros(1, 4),), dynamo=True, verbose=False)

    merged = onnxdup.merge(exported.model)

    assert merged.report.filters.after == merged.report.filters.before - 1
    assert onnxdup.check(exported.model, isolate=False).status == "failed"
    assert onnxdup.check(merged.document, base=exported.model, min_agreement=100).status == "passed"
