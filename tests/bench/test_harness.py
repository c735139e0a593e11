"""The harness end to end on the digits, and its rule for ties."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "tests" / "bench" / "harness"


def _python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HARNESS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run(out: Path, *more: str) -> str:
    model, data = ROOT / "samples" / "mlp_digits.onnx", ROOT / "samples" / "digits_test.npz"
    fixed = ("--models", str(model), "--data", str(data), "--keep", ".125", "--out", str(out))
    return _python("run.py", *fixed, *more)


def _results(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def test_two_methods_are_measured_once_and_tabled(tmp_path: Path) -> None:
    said = _run(tmp_path, "--methods", "cluster", "norm")
    found = _results(tmp_path)
    assert set(found) == {"base", "cluster", "norm"}
    assert found["cluster"]["kept"] == found["norm"]["kept"] == "0.125"
    assert float(found["norm"]["accuracy"]) < float(found["cluster"]["accuracy"])
    assert found["cluster"]["base"] == found["base"]["accuracy"]
    assert int(found["norm"]["parameters"]) < int(found["norm"]["base_parameters"])
    assert said.count("\n") == 3
    assert _run(tmp_path, "--methods", "cluster", "norm") == "", "finished cells are not made again"
    assert "| norm |" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    layers = (tmp_path / "layers.csv").read_text(encoding="utf-8").splitlines()
    assert any("cluster" in line and "fc1.weight" in line for line in layers)


def test_a_peer_that_cannot_do_it_is_a_cell_with_its_reason(tmp_path: Path) -> None:
    _run(tmp_path, "--methods", "torch-pruning")
    reason = _results(tmp_path)["torch-pruning"]["reason"]
    assert "--runs" in reason or "pip install" in reason
    assert reason in (tmp_path / "summary.md").read_text(encoding="utf-8")


_TIES = """
import json, sys
import numpy as np
from cells import Cell, Outcome
from measure import packed
from table import Line, tied

def line(name, rates):
    made = []
    for seed, rate in enumerate(rates):
        bits = np.arange(1000) < 1000 * rate
        cell = Cell("m", "m", seed, "layers", name, 0, 0.5)
        made.append(Outcome(cell, 1000, float(bits.mean()), packed(bits)))
    return Line(name, 0, 0.5, tuple(made))

first = line("a", [0.8, 0.8, 0.8])
print(json.dumps([tied(first, line("b", rates)) for rates in json.loads(sys.argv[1])]))
"""


def test_ties_are_differences_within_the_spread() -> None:
    rates = [[0.7, 0.71, 0.69], [0.799, 0.8, 0.8], [0.9, 0.6, 0.8], [0.7]]
    assert json.loads(_python("-c", _TIES, json.dumps(rates))) == [False, True, True, False]


_MARKDOWN = "import sys, pathlib, shrunk; print(shrunk.markdown([pathlib.Path(sys.argv[1])]))"


def test_shrink_against_the_best_tau_of_the_paper(tmp_path: Path) -> None:
    model, data = ROOT / "samples" / "mlp_digits_padded.onnx", ROOT / "samples" / "digits_test.npz"
    fixed = ("--models", str(model), "--data", str(data), "--max-drop", "4", "--out", str(tmp_path))
    _python("shrunk.py", *fixed)
    with (tmp_path / "shrunk.csv").open(encoding="utf-8") as file:
        found = {row["method"]: row for row in csv.DictReader(file)}
    removed = {name: float(row["parameters_removed"]) for name, row in found.items()}
    assert 1 > removed["shrunk"] > removed["papers"] > 0.4, "160 exact duplicates and more"
    table = _python("-c", _MARKDOWN, str(tmp_path / "shrunk.csv"))
    assert f"| mlp_digits_padded | {100 * removed['shrunk']:.1f} % |" in table and "tau" in table
