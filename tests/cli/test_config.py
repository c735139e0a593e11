"""Settings: command line > environment > file > default; unknown keys are errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Done

from onnxdup import api

Cli = Callable[..., Done]


class Seen(Exception):
    """Carries the options with which a command reached the API."""


@pytest.fixture
def options(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The keyword arguments that `onnxdup merge m.onnx …` passes to the API."""
    seen: list[dict[str, Any]] = []

    def record(_document: object, **values: Any) -> None:
        seen.append(values)
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "load", lambda source, **_: source)
    for name in ("merge", "report"):
        monkeypatch.setattr(api, name, record, raising=False)

    def call(*arguments: object, command: str = "merge") -> dict[str, Any]:
        target = ["-o", "out.onnx"] if command == "merge" else []
        done = cli(command, "m.onnx", *target, *arguments)
        assert done.code == 130, done.err
        return seen[-1]

    return call


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_defaults(options: Callable[..., dict[str, Any]]) -> None:
    found = options()
    assert (found["tau"], found["seed"], found["provider"], found["data"]) == (1.0, 0, "auto", None)


def test_precedence(options: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    write("onnxdup.toml", "tau = 0.7\nseed = 3\n")
    assert options()["tau"] == 0.7
    monkeypatch.setenv("ONNXDUP_TAU", "0.8")
    assert options()["tau"] == 0.8
    assert options("--tau", "0.9")["tau"] == 0.9
    assert options()["seed"] == 3


def test_pyproject_table_and_command_table(options: Callable[..., dict[str, Any]]) -> None:
    write("pyproject.toml", "[tool.onnxdup]\nseed = 1\nmax-drop = 2\n[tool.onnxdup.merge]\nseed = 5\n")
    found = options()
    assert found["seed"] == 5 and found["max_drop"] == 2.0


def test_file_in_a_parent_folder_is_found(
    options: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("onnxdup.toml", "seed = 9\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert options()["seed"] == 9


def test_config_option_names_the_file(options: Callable[..., dict[str, Any]]) -> None:
    write("onnxdup.toml", "seed = 9\n")
    other = write("other.toml", "seed = 4\n")
    assert options("--config", other)["seed"] == 4


def test_lists_and_scalars_for_repeatable_options(options: Callable[..., dict[str, Any]]) -> None:
    write("onnxdup.toml", 'include = "conv*"\n[report]\ntau = [0.9, 0.5]\n')
    assert options()["include"] == ("conv*",)
    assert options(command="report")["taus"] == [0.9, 0.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ta = 1\n", ("unknown key ta", "did you mean tau?")),
        ("[merge]\nspectra = true\n", ("unknown key merge.spectra",)),
        ("[merg]\ntau = 1\n", ("unknown key merg", "did you mean merge?")),
        ("debug = true\n", ("unknown key debug",)),
        ("tau = \n", ("not valid TOML",)),
        ('tau = "high"\n', ("high",)),
        ("[tool]\nonnxdup = 3\n", ("unknown key tool",)),
    ],
)
def test_bad_files_exit_2_with_one_line(cli: Cli, text: str, words: tuple[str, ...]) -> None:
    write("onnxdup.toml", text)
    done = cli("merge", "m.onnx", "-o", "out.onnx")
    assert done.code == 2 and done.out == ""
    assert len(done.err.splitlines()) == 1 and all(word in done.err for word in words), done.err


def test_missing_config_file(cli: Cli) -> None:
    done = cli("report", "m.onnx", "--config", "none.toml")
    assert done.code == 2 and "none.toml" in done.err and len(done.err.splitlines()) == 1


def test_pyproject_without_our_table_is_passed_over(options: Callable[..., dict[str, Any]]) -> None:
    write("pyproject.toml", "[project]\nname = 'x'\n")
    assert options()["seed"] == 0
