"""What people hand in by mistake: one line on stderr, the right exit code, no traceback, no output, input
untouched.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_models import UNREADABLE, data, external, mlp, save, weights
from cli_tools import Done

Cli = Callable[..., Done]


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_refused(done: Done, code: int, words: str) -> None:
    lines = done.err.splitlines()
    assert done.code == code, done
    assert len([line for line in lines if "error: " in line]) == 1 and "Traceback" not in done.err
    assert lines[-1].startswith("onnxdup: error: ") and words in lines[-1], done.err


def arguments(command: str, model: Path) -> list[object]:
    return {
        "report": ["report", model],
        "merge": ["merge", model, "-o", "out.onnx", "--tau", "0.9"],
        "evaluate": ["evaluate", model],
        "verify": ["verify", model, model],
    }[command]


@pytest.mark.parametrize("command", ["report", "merge", "evaluate", "verify"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_models_exit_3(cli: Cli, tmp_path: Path, command: str, kind: str) -> None:
    make, words = UNREADABLE[kind]
    model = tmp_path / "m.onnx"
    make(model)
    before = files(tmp_path)
    done = cli(*arguments(command, model))
    assert_refused(done, 3, words)
    assert done.out == "" and files(tmp_path) == before


def test_each_kind_has_its_own_sentence(cli: Cli, tmp_path: Path) -> None:
    sentences = set()
    for index, (make, _) in enumerate(UNREADABLE.values()):
        model = tmp_path / f"{index}" / "m.onnx"
        model.parent.mkdir()
        make(model)
        sentences.add(cli("report", model).err.replace(str(model.parent), ""))
    assert len(sentences) == len(UNREADABLE)


def test_unreadable_files_among_good_ones_are_listed(cli: Cli, tmp_path: Path) -> None:
    save(mlp(), tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(b"")
    done = cli("report", "*.onnx")
    assert done.code == 3 and "a.onnx" in done.out and "not reported" in done.out and "b.onnx" in done.err


@pytest.mark.parametrize("opset", [99, 1000])
def test_unknown_opset_cannot_be_verified(cli: Cli, tmp_path: Path, opset: int) -> None:
    model = mlp()
    model.opset_import[0].version = opset
    path = save(model, tmp_path / "m.onnx")
    before = files(tmp_path)
    done = cli("merge", path, "-o", "out.onnx")
    assert done.code in (3, 4)
    assert_refused(done, done.code, "opset")
    assert files(tmp_path) == before


def test_nan_weights_are_reported_and_never_merged_away(cli: Cli, tmp_path: Path) -> None:
    w1 = weights()["w1"]
    w1[2, 1] = np.nan
    path = save(mlp(w1=w1), tmp_path / "m.onnx")
    done = cli("report", path)
    assert done.code == 0 and "NaN" in done.out
    done = cli("report", path, "--json")
    assert "NaN" not in done.out.replace("hold NaN or infinity", "")
    done = cli("merge", path, "-o", "out.onnx", "--tau", "0.5")
    assert "Traceback" not in done.err and done.code in (0, 1, 4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": np.zeros((32, 5), np.float32)}, "x"),
        ({"x": np.zeros((31, 4), np.float32)}, "31"),
        ({"x": np.zeros((0, 4), np.float32), "y": np.zeros(0, int)}, "no samples"),
        ({"x": np.full((32, 4), "a")}, "x"),
        ({"y": np.full(32, 0.5)}, "whole numbers"),
    ],
    ids=["wrong shape", "fewer samples than labels", "no samples", "text", "fractional labels"],
)
def test_wrong_data_exit_3(cli: Cli, tmp_path: Path, changes: dict[str, np.ndarray], words: str) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    samples = data(tmp_path / "d.npz", **changes)
    before = files(tmp_path)
    done = cli("merge", path, "-o", "out.onnx", "--data", samples)
    assert_refused(done, 3, words)
    assert files(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_unreadable_data_exit_3(cli: Cli, tmp_path: Path, content: bytes) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    (tmp_path / "d.npz").write_bytes(content)
    assert_refused(cli("evaluate", path, "--data", "d.npz"), 3, "d.npz")


def test_missing_data_exit_3(cli: Cli, tmp_path: Path) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    assert_refused(cli("evaluate", path, "--data", "none.npz"), 3, "none.npz")


def test_data_without_labels(cli: Cli, tmp_path: Path) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    samples = data(tmp_path / "d.npz", labels=False)
    done = cli("merge", path, "-o", "out.onnx", "--data", samples)
    assert done.code == 0 and "Accuracy was not checked" in done.out
    before = files(tmp_path)
    done = cli("merge", path, "-o", "other.onnx", "--data", samples, "--max-drop", "1")
    assert_refused(done, 4, "labels")
    assert files(tmp_path) == before


def test_max_drop_without_data_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    assert_refused(cli("merge", path, "-o", "out.onnx", "--max-drop", "1"), 2, "--data")


@pytest.mark.parametrize("spelling", ["m.onnx", "./m.onnx", "sub/../m.onnx", "link.onnx"])
def test_the_input_is_not_overwritten(cli: Cli, tmp_path: Path, spelling: str) -> None:
    save(mlp(), tmp_path / "m.onnx")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "m.onnx")
    before = files(tmp_path)
    assert_refused(cli("merge", "m.onnx", "-o", spelling), 2, "--in-place")
    assert files(tmp_path) == before


def test_external_data_of_the_input_is_not_overwritten(cli: Cli, tmp_path: Path) -> None:
    external(tmp_path / "m.onnx")
    before = files(tmp_path)
    done = cli("merge", "m.onnx", "-o", "m.onnx.data")
    assert done.code == 2 and files(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(cli: Cli, tmp_path: Path) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    (tmp_path / "locked").mkdir(mode=0o500)
    assert_refused(cli("merge", path, "-o", "locked/out.onnx"), 2, "locked")


def test_folder_that_refuses_files(cli: Cli, tmp_path: Path) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    before = files(tmp_path)
    assert_refused(cli("merge", path, "-o", "/proc/out.onnx"), 2, "/proc")
    assert files(tmp_path) == before


def test_report_file_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    path = save(mlp(), tmp_path / "m.onnx")
    assert_refused(cli("report", path, "--report", "none/r.json"), 2, "none")


def test_no_gpu_exits_4(cli: Cli, tmp_path: Path) -> None:
    from onnxdup.runtime import Session

    path = save(mlp(), tmp_path / "m.onnx")
    with Session.open(path, provider="auto") as session:
        if session.provider.startswith("CUDA"):
            pytest.skip("there is a GPU")
    before = files(tmp_path)
    done = cli("merge", path, "-o", "out.onnx", "--provider", "cuda")
    assert_refused(done, 4, "GPU")
    assert files(tmp_path) == before


def test_a_bug_is_one_line_with_code_5_and_a_traceback_with_debug(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxdup import api

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(api, "report", broken)
    path = save(mlp(), tmp_path / "m.onnx")
    assert_refused(cli("report", path), 5, "bug in onnxdup: ZeroDivisionError: two lines")
    assert "Traceback" in cli("report", path, "--debug").err
