"""`onnxdup sweep`: points that `merge` would give, table, CSV, plot, and going on after an interruption."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cli_tools import ROOT, Done
from test_commands import validate

import onnxdup
from onnxdup.reporting import sweep_csv
from onnxdup.reporting.plots.sweep import chart
from onnxdup.reporting.search_formats import from_json, to_json
from onnxdup.reporting.search_schema import SweepReport

Cli = Callable[..., Done]
MLP, DATA = ROOT / "samples" / "mlp_digits.onnx", ROOT / "samples" / "digits_test.npz"
SMALL = ("sweep", MLP, "--data", DATA, "--method", "norm", "--method", "obs", "--keep", "0.5")


@pytest.fixture(scope="module")
def report() -> SweepReport:
    return onnxdup.sweep(
        MLP, DATA, methods=("paper", "norm", "shrink", "exact"), taus=(0.9,), keeps=(0.5,), provider="cpu"
    )


def test_points_are_what_merge_and_shrink_give(report: SweepReport) -> None:
    points = {(p.method, p.tau, p.keep): p for p in report.points}
    assert list(points) == [
        ("paper", 0.9, None),
        ("norm", 0.9, None),
        ("norm", None, 0.5),
        ("shrink", None, 0.5),
        ("exact", 1.0, None),
    ]
    merged = onnxdup.merge(MLP, tau=0.9, method="paper", data=DATA, provider="cpu").report
    paper = points["paper", 0.9, None]
    assert (paper.filters, paper.parameters, paper.accuracy, paper.paired) == (
        merged.filters.after,
        merged.parameters.after,
        merged.accuracy_after,
        merged.paired,
    )
    assert merged.macs is not None and paper.macs == merged.macs.after
    assert points["norm", 0.9, None].filters == paper.filters
    shrunk = onnxdup.shrink(MLP, keep=0.5, provider="cpu").report
    assert shrunk.merge is not None
    assert points["shrink", None, 0.5].parameters == shrunk.merge.parameters.after
    assert points["exact", 1.0, None].parameters == report.base.parameters
    assert report.notes == ("paper takes a threshold, no share", "shrink takes a share, no threshold")


def test_methods_that_draw_follow_the_seed() -> None:
    points = {
        seed: onnxdup.sweep(MLP, DATA, methods=("random",), keeps=(0.3,), seed=seed, provider="cpu").points[0]
        for seed in (0, 5)
    }
    assert points[0].accuracy != points[5].accuracy
    drawn = onnxdup.merge(MLP, method="random", tau=0.9, keep=0.3, seed=5, data=DATA, provider="cpu")
    assert points[5].accuracy == drawn.report.accuracy_after


def test_json_and_csv_say_the_same(report: SweepReport) -> None:
    assert from_json(to_json(report)) == report
    validate(to_json(report), "sweep.json")
    rows = list(csv.DictReader(sweep_csv.render(report).splitlines()))
    assert [r["method"] for r in rows] == ["original", *(p.method for p in report.points)]
    for row, point in zip(rows, (report.base, *report.points), strict=True):
        assert point.accuracy is not None and float(row["accuracy"]) == point.accuracy.top1
        assert int(row["parameters"]) == point.parameters
        assert row["tau"] == ("" if point.tau is None else str(point.tau))


def test_the_chart_has_a_line_per_method(report: SweepReport) -> None:
    drawn = chart(report, "parameters")
    assert drawn.title == "Accuracy against parameters removed"
    assert all(f"{m}: " in drawn.alt for m in ("paper", "norm", "shrink", "exact"))
    point = next(p for p in report.points if p.method == "shrink")
    gone = 100 * (1 - point.parameters / report.base.parameters)
    assert point.accuracy is not None
    assert f"shrink: {100 * point.accuracy.top1:.4g} at {gone:.1f} %" in drawn.alt


def test_command_writes_table_csv_and_plots(cli: Cli) -> None:
    done = cli(*SMALL, "--csv", "s.csv", "--plot", "s.svg", "--json")
    assert done.code == 0, done.err
    validate(done.out, "sweep.json")
    assert ET.parse("s.svg").getroot().tag.endswith("svg")
    assert len(Path("s.csv").read_text().splitlines()) == 4
    shown = cli(*SMALL, "--plot", "s.png").out
    assert "keep 0.5" in shown and "original" in shown and Path("s.png").read_bytes()[:4] == b"\x89PNG"
    assert cli(*SMALL, "--format", "markdown").out.startswith("### ")
    assert ET.fromstring(cli(*SMALL, "--format", "junit").out.encode()).tag == "testsuites"
    unlabelled = cli("sweep", MLP, "--method", "obs", "--keep", "0.5")
    assert unlabelled.code == 0 and "error" in unlabelled.out.splitlines()[1]


def test_resumed_points_are_not_reduced_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cli(*SMALL, "--state", "s.json", "--json")
    assert first.code == 0 and len(json.loads(Path("s.json").read_text())["results"]) == 2

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("reduced again")

    monkeypatch.setattr("onnxdup.reduce.sweep.Sweep.reduced", fail)
    again = cli(*SMALL, "--state", "s.json", "--resume", "--json")
    assert again.code == 0 and json.loads(again.out) == {**json.loads(first.out), "resumed": 2}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--plot", "s.pdf"), 2, ".svg or .png"),
        (("--plot", "nowhere/s.svg"), 2, "folder"),
        (("--method", "best"), 2, "no method 'best'"),
        (("--method", "paper", "--keep", "0.5"), 2, "nothing to sweep"),
        (("--resume",), 2, "--state"),
        (("--tau", "2"), 2, "0<x<=1"),
        (("--data", "gone.npz"), 3, "gone.npz"),
    ],
)
def test_usage(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli("sweep", MLP, *arguments)
    assert (done.code, done.out) == (code, "") and words in done.err and done.err.count("\n") == 1


def test_without_matplotlib_one_line_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "onnxdup.reporting.needs.find_spec", lambda name: None if name == "matplotlib" else object()
    )
    done = cli(*SMALL, "--plot", "s.svg")
    assert done.code == 2 and "pip install matplotlib" in done.err and done.err.count("\n") == 1
