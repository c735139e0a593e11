"""README.md tells the truth: every command runs and shows what it shows; the operator table is current."""

from __future__ import annotations

from pathlib import Path

import pytest
from readme_blocks import (
    README,
    ROOT,
    blocks,
    commands,
    generated_table,
    masked,
    operator_table,
    run,
    workshop,
)

TEXT = README.read_text(encoding="utf-8")
CONSOLE = [command for body in blocks(TEXT, "console") for command in commands(body)]
SHELL = [line for body in blocks(TEXT, "sh") for line in body.splitlines()]
OF_CI = ("pip install", "python -m pytest")
FAILS = ("--tau 0.1", "check samples/mlp_digits_padded.onnx")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("readme")
    return folder, workshop(folder)


def test_there_is_something_to_test() -> None:
    assert len(CONSOLE) >= 6 and len(SHELL) >= 5


def test_console_commands_show_what_the_readme_shows(shop: tuple[Path, dict[str, str]]) -> None:
    for command in CONSOLE:
        done = run(command.line, *shop)
        expected = 1 if any(flag in command.line for flag in FAILS) else 0
        assert done.returncode == expected, f"{command.line}\n{done.stderr}"
        assert list(masked(done.stdout)) == list(masked(command.shown)), f"{command.line}: run refresh.py"


@pytest.mark.parametrize("line", [x for x in SHELL if not x.startswith(OF_CI)])
def test_shell_commands_run(line: str, shop: tuple[Path, dict[str, str]]) -> None:
    if "export runs/tiny" in line and not (shop[0] / "runs" / "tiny").exists():
        pytest.skip("needs the line before it")
    done = run(line, *shop)
    assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("line", sorted({x for x in SHELL if x.startswith(OF_CI)}))
def test_installation_commands_are_what_ci_runs(line: str) -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert line in " ".join(script.replace("--quiet ", "").split())


@pytest.mark.parametrize("body", blocks(TEXT, "python"))
def test_python_examples_run(body: str, shop: tuple[Path, dict[str, str]]) -> None:
    folder, environment = shop
    (folder / "example.py").write_text(body)
    done = run("python example.py", folder, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_toml_examples_are_accepted(shop: tuple[Path, dict[str, str]]) -> None:
    folder, environment = shop
    for body in blocks(TEXT, "toml"):
        (folder / "sub").mkdir(exist_ok=True)
        (folder / "sub" / "pyproject.toml").write_text(body)
        done = run("cd sub && onnxdup report ../samples/mlp_digits.onnx", folder, environment)
        assert done.returncode == 0, done.stderr


def test_operator_table_is_current() -> None:
    assert generated_table(TEXT) == operator_table(), "run `python tests/readme/refresh.py`"


def test_files_that_the_readme_names_exist() -> None:
    for name in (
        "samples/README.md",
        "onnxdup/reporting/schemas/report.json",
        "LICENSE",
        "CHANGELOG.md",
        ".ci/run",
    ):
        assert (ROOT / name).exists()
