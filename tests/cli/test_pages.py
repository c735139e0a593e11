"""`--html` and `--plots`: files appear, stdout stays what it was, and what is missing is said in one line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import ROOT, Done

Cli = Callable[..., Done]
MODEL = str(ROOT / "samples" / "mlp_digits.onnx")


def test_report_writes_a_page_and_plots_beside_its_text(cli: Cli, tmp_path: Path) -> None:
    page, plots = tmp_path / "page.html", tmp_path / "new" / "plots"
    plain = cli("report", MODEL)
    done = cli("report", MODEL, "--html", str(page), "--plots", str(plots))
    assert (done.code, done.out) == (0, plain.out)
    assert f"wrote {page}" in done.err
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    names = {p.name for p in plots.iterdir()}
    assert {"model-removable.svg", "fc1.weight-cosines.svg", "fc1.weight-matrix.png"} <= names
    assert (plots / "fc1.weight-matrix.png").read_bytes().startswith(b"\x89PNG")


def test_several_models_share_a_page_and_get_folders_for_plots(cli: Cli, tmp_path: Path) -> None:
    other = str(ROOT / "samples" / "cnn_digits.onnx")
    done = cli(
        "report", MODEL, other, "--html", str(tmp_path / "p.html"), "--plots", str(tmp_path), "--details", "3"
    )
    assert done.code == 0
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "Duplicate filters in 2 models" in page and 'href="#m2">cnn_digits.onnx</a>' in page
    assert (tmp_path / "mlp_digits").is_dir() and (tmp_path / "cnn_digits").is_dir()


def test_merge_writes_a_page_also_where_it_is_rejected(cli: Cli, tmp_path: Path) -> None:
    data = str(ROOT / "samples" / "digits_test.npz")
    common = ("merge", MODEL, "--data", data, "--provider", "cpu", "-o", str(tmp_path / "small.onnx"))
    done = cli(*common, "--tau", "0.9", "--html", str(tmp_path / "good.html"))
    assert done.code == 0
    assert "330 filters became 230" in (tmp_path / "good.html").read_text(encoding="utf-8")
    done = cli(*common, "--tau", "0.3", "--max-drop", "0", "--html", str(tmp_path / "bad.html"))
    assert done.code == 1
    assert "Verification failed: nothing was written" in (tmp_path / "bad.html").read_text(encoding="utf-8")


def test_shrink_draws_what_it_made_and_what_it_tried(cli: Cli, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    common = ("shrink", MODEL, "-o", str(tmp_path / "s.onnx"), "--provider", "cpu", "--html", str(page))
    assert cli(*common, "--target-params", "9000").code == 0
    text = page.read_text(encoding="utf-8")
    assert "channels by refine." in text and "What shrink removed" in text and "target-params 9,000" in text
    assert cli(*common, "--target-params", "5").code == 1
    text = page.read_text(encoding="utf-8")
    assert "No model is within the budget" in text and "87 at the narrowest" in text


@pytest.mark.parametrize("option", ["--html", "--plots"])
def test_a_missing_package_is_said_before_any_work(
    cli: Cli, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "onnxdup.reporting.needs.find_spec", lambda name: None if name == "matplotlib" else real(name)
    )
    done = cli("report", "no_such_file.onnx", option, str(tmp_path / "x"))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"onnxdup: error: {option} needs matplotlib; pip install matplotlib\n"


def test_plots_into_a_file_are_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    done = cli("report", MODEL, "--plots", str(tmp_path / "x"))
    assert done.code == 2 and "--plots is a file" in done.err
