"""`onnxdup shrink`: artefacts, formats, exit codes, files; and no file where the budget is missed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import onnx
import pytest
from cli_tools import ROOT, Done
from test_commands import validate

from onnxdup.reporting.search_formats import from_json, to_json
from onnxdup.reporting.search_schema import ShrinkReport

Cli = Callable[..., Done]
MLP, DATA = ROOT / "samples" / "mlp_digits.onnx", ROOT / "samples" / "digits_test.npz"


def test_shrink_reports_and_writes(cli: Cli) -> None:
    done = cli("shrink", MLP, "--max-drop", "1", "--data", DATA, "-o", "out.onnx", "--json")
    assert done.code == 0, done.err
    validate(done.out, "shrink.json")
    report = from_json(done.out)
    assert isinstance(report, ShrinkReport) and report.status == "passed" and to_json(report) == done.out
    assert report.merge is not None and report.merge.output is not None and report.merge.paired is not None
    assert report.merge.output.bytes == Path("out.onnx").stat().st_size
    assert any(t.position == report.chosen and t.good for t in report.trials)
    assert {c.name for c in report.merge.checks} >= {"accuracy drop", "onnx checker", "finite outputs"}
    widths = {g.group: g.channels.after for g in report.groups}
    stored = {t.name: list(t.dims) for t in onnx.load("out.onnx").graph.initializer}
    assert stored["fc1.weight"][0] == widths["fc1.weight"] < 256


def test_text_and_other_formats(cli: Cli) -> None:
    budget = ("shrink", MLP, "--keep", "0.5", "-o", "out.onnx", "--holdout", DATA)
    shown = cli(*budget).out
    assert "Budget: keep 0.5" in shown and "yes *" in shown and "not used to choose" in shown
    assert cli(*budget, "--format", "markdown").out.startswith("### ")
    assert ET.fromstring(cli(*budget, "--format", "junit").out.encode()).tag == "testsuites"
    assert "::notice" in cli(*budget, "--format", "github").out
    assert cli(*budget, "--report", "r.json").code == 0 and json.loads(Path("r.json").read_text())


@pytest.mark.parametrize(
    "budget",
    [
        ("--target-params", "50"),
        ("--target-macs", "10"),
        ("--target-bytes", "100"),
        ("--target-latency", "0"),
        ("--target-params", "5k", "--max-error", "0.0001"),
        ("--keep", "0.1", "--max-drop", "0.1", "--data", str(DATA)),
    ],
    ids=" ".join,
)
def test_a_missed_budget_is_exit_1_and_no_output(cli: Cli, budget: tuple[str, ...]) -> None:
    done = cli("shrink", MLP, *budget, "-o", "out.onnx", "--json")
    assert done.code == 1 and done.err.count("\n") == 1, done.err
    report = from_json(done.out)
    assert report.status == "failed" and report.merge is None and report.trials
    assert not list(Path().iterdir())
    assert cli("shrink", MLP, *budget, "-o", "out.onnx").out.strip().endswith("nothing was written.")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--keep", "0.5"), 2, "no output given"),
        (("-o", "out.onnx"), 2, "no budget given"),
        (("-o", "out.onnx", "--max-drop", "1"), 2, "needs labelled data"),
        (("-o", "out.onnx", "--keep", "0.5", "--method", "paper"), 2, "paper takes no number"),
        (("-o", "out.onnx", "--keep", "0.5", "--method", "best"), 2, "no method 'best'"),
        (("-o", "out.onnx", "--keep", "0.5", "--resume"), 2, "--state"),
        (("-o", "out.onnx", "--keep", "0.5", "--include", "nothing"), 2, "nothing"),
        (("-o", "out.onnx", "--keep", "0.5", "--data", "gone.npz"), 3, "gone.npz"),
    ],
)
def test_usage(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli("shrink", MLP, *arguments)
    assert (done.code, done.out) == (code, "") and words in done.err and done.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_state_plan_and_progress(cli: Cli) -> None:
    run = ("shrink", MLP, "--max-error", "0.1", "--data", DATA, "-o", "out.onnx", "--state", "s.json")
    first = cli(*run, "--plan-out", "plan.json", "-v")
    assert first.code == 0 and "steps: keep" in first.err
    content = Path("out.onnx").read_bytes()
    again = cli(*run, "--resume", "--json")
    assert again.code == 0 and Path("out.onnx").read_bytes() == content and json.loads(again.out)["resumed"]
    replayed = cli("merge", MLP, "--plan", "plan.json", "--no-stamp", "-o", "replayed.onnx")
    assert replayed.code == 0
    assert cli("shrink", MLP, "--max-error", "0.1", "--state", "s.json", "--resume", "-o", "x.onnx").code == 2


def test_unchanged_model_is_copied(cli: Cli, tmp_path: Path) -> None:
    done = cli("shrink", MLP, "--max-drop", "0", "--data", DATA, "-o", "out.onnx")
    assert done.code == 0 and Path("out.onnx").read_bytes() == MLP.read_bytes()
    assert "cannot show" in done.out


def test_isolated(shell: Cli) -> None:
    done = shell("shrink", MLP, "--keep", "0.5", "-o", "out.onnx", "--isolate", "--json")
    assert done.code == 0 and json.loads(done.out)["status"] == "passed"
