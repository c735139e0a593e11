"""The command line of the training package."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from training import cli


def run(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr of ``python -m training arguments``, in this process."""
    monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out, captured.err


@pytest.fixture
def call(monkeypatch, capsys):
    return lambda *arguments: run(monkeypatch, capsys, *arguments)


def test_train_resume_and_export(call, tmp_path):
    options = ("--widths", "16", "--limit", 200, "--threads", 1, "-o", tmp_path / "r")
    code, out, err = call("train", "--epochs", 1, *options)
    assert (code, out) == (0, "")
    assert "test accuracy" in err
    assert call("train", "--resume", tmp_path / "r", "--epochs", 2, "-q") == (0, "", "")
    code, _, err = call(
        "export", tmp_path / "r", "-o", tmp_path / "m.onnx", "--test-data", tmp_path / "t.npz"
    )
    assert code == 0
    assert "500 images" in err
    assert (tmp_path / "m.onnx").stat().st_size > 4000


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("train", "--data", "imagenet"), 2, "digits"),
        (("train", "--widths", "a,b"), 2, "--widths is a,b"),
        (("train", "--lr", "-1"), 2, "--lr is -1.0"),
        (("train", "--model", "alexnet"), 2, "32×32"),
        (("train", "--kernel", "3"), 2, "a height and a width"),
        (("train", "--model", "resnet", "--depth", "8", "--mergeable", "0.1"), 2, "no resnet"),
        (("study", "heigth", "--out", "o"), 2, "the study is heigth"),
        (("study", "width", "--out", "o", "--config", "nowhere.toml"), 3, "nowhere.toml"),
        (("study", "width"), 2, "--out"),
        (("train", "--resume", "nowhere"), 3, "nowhere/config.json"),
        (("train", "--resume", "nowhere", "--seed", "3"), 2, "--seed cannot be changed"),
        (("export", "nowhere", "-o", "m.onnx"), 3, "is this the folder of a run?"),
        (("export", "nowhere"), 2, "--output"),
    ],
)
def test_mistakes_are_one_line_with_their_exit_code(call, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    got, out, err = call(*arguments)
    assert (got, out) == (code, "")
    assert says in err
    assert "Traceback" not in err
    if err.startswith("error:"):
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_absent_data_exits_3(call, tmp_path, monkeypatch):
    import pooch

    def refuse(*_args, **_options):
        raise ConnectionError

    monkeypatch.setattr(pooch, "retrieve", refuse)
    code, _, err = call("train", "--data", "cifar10", "--data-dir", tmp_path / "d", "-o", tmp_path / "r")
    assert code == 3
    assert err.startswith("error: cifar10: no data in")
    assert not (tmp_path / "r").exists()


def test_study_and_its_page(call, tmp_path, root):
    pytest.importorskip("matplotlib", reason="studies draw their figures with matplotlib")
    config = tmp_path / "tiny.toml"
    config.write_text('[base]\nepochs = 1\nlimit = 200\n[[grid]]\nwidths = ["12,6"]\n', encoding="utf-8")
    options = ("--out", tmp_path / "o", "--config", config, "--workers", 1)
    code, out, err = call("study", "rank", *options)
    assert (code, out) == (0, "")
    assert err.splitlines()[-1] == str(tmp_path / "o" / "rank" / "README.md")
    (tmp_path / "o" / "rank" / "README.md").unlink()
    assert call("study", "rank", *options, "--page-only", "-q") == (0, "", "")
    page = (tmp_path / "o" / "rank" / "README.md").read_text(encoding="utf-8")
    assert "`python -m training study rank --out OUT --config tiny.toml`" in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize("command", ["train", "study"])
def test_help_needs_no_torch(root, command):
    code = f"import sys, training.cli as c; sys.argv = ['t', {command!r}, '--help']\ntry: c.main()\n"
    code += "except SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False False\n")
    assert {"train": "--weight-decay", "study": "--scheduler"}[command] in done.stdout


def test_training_and_the_tool_share_no_code(root):
    for path in (root / "training").rglob("*.py"):
        names = [
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        ]
        assert not [name for name in names if name.split(".")[0] == "onnxdup"], path
