"""Usage errors: one line on stderr, exit code 2, nothing on stdout; and what costs nothing stays fast."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import ROOT, Done

from onnxdup.cli import values
from onnxdup.errors import UsageError

Cli = Callable[..., Done]
COMMANDS = ("report", "merge", "shrink", "sweep", "evaluate", "verify")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "nonsense"),
        (("report",), "MODEL"),
        (("report", "*.onnx"), "matches no file"),
        (("report", "m.onnx", "--tau", "0"), "0.0 is not in the range 0<x<=1"),
        (("report", "m.onnx", "--tau", "1.5"), "0<x<=1"),
        (("report", "m.onnx", "--tau", "x"), "x"),
        (("report", "m.onnx", "--format", "pdf"), "'pdf' is not one of"),
        (("report", "m.onnx", "--input-shape", "x"), "--input-shape x"),
        (("report", "m.onnx", "--input-shape", "x:1,a"), "--input-shape x:1,a"),
        (("report", "m.onnx", "--progress", "maybe"), "'maybe' is not one of"),
        (("report", "m.onnx", "--html", "nowhere/page.html"), "nowhere"),
        (("report", "m.onnx", "--html", "."), "--html cannot be written there"),
        (("report", "m.onnx", "--details", "0"), "--details"),
        (("report", "m.onnx", "--report", "page.html"), "use --html FILE"),
        (("merge", "m.onnx"), "no output given"),
        (("merge", "m.onnx", "-o", "nowhere/out.onnx"), "nowhere"),
        (("merge", "m.onnx", "-o", "."), "folder"),
        (("merge", "m.onnx", "-o", "out.onnx", "--tau", "-1"), "0<x<=1"),
        (("merge", "m.onnx", "-o", "out.onnx", "--nonsense"), "--nonsense"),
        (("verify", "a.onnx"), "REDUCED"),
        (("evaluate", "m.onnx", "--batch", "0"), "--batch"),
    ],
)
def test_usage_errors(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("onnxdup: error: ") and len(done.err.splitlines()) == 1
    assert words in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_shared_option(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert done.code == 0 and done.err == ""
    for name in (
        "--json",
        "--format",
        "--report",
        "--quiet",
        "--verbose",
        "--progress",
        "--config",
        "--debug",
    ):
        assert name in done.out


def test_merge_names_every_method(cli: Cli) -> None:
    from onnxdup.merging import METHODS

    words = " ".join(cli("merge", "--help").out.split()).replace("- ", "-")
    assert all(name in words for name in METHODS)


def test_version(cli: Cli) -> None:
    import onnxdup

    done = cli("--version")
    assert (done.code, done.out, done.err) == (0, f"onnxdup {onnxdup.__version__}\n", "")


def test_version_is_that_of_the_metadata() -> None:
    import tomllib

    import onnxdup

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == onnxdup.__version__


def test_no_arguments_show_help(cli: Cli) -> None:
    done = cli()
    assert "Usage: onnxdup" in done.out + done.err and all(c in done.out + done.err for c in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from onnxdup.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {
        "numpy",
        "onnx",
        "onnxruntime",
        "rich",
        "scipy",
        "torch",
        "onnx_graphsurgeon",
        "google",
    }


def cpu_seconds(run: Callable[[], Done]) -> tuple[float, Done]:
    """CPU time of a child process, the least of five runs: wall-clock time where nothing else runs."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times), done


@pytest.mark.parametrize("arguments", [("--help",), ("merge", "--help"), ("--version",), ("merge", "x.onnx")])
def test_light_commands_take_under_300_ms(shell: Cli, arguments: tuple[str, ...]) -> None:
    seconds, _ = cpu_seconds(lambda: shell(*arguments))
    assert seconds < 0.3


def test_completion_takes_under_300_ms(shell: Cli) -> None:
    completing = {"_ONNXDUP_COMPLETE": "bash_complete", "COMP_WORDS": "onnxdup re", "COMP_CWORD": "1"}
    seconds, done = cpu_seconds(lambda: shell(**completing))
    assert "report" in done.out and seconds < 0.3


def test_shapes() -> None:
    assert values.shapes(["x:1,3,224,224", "serving:0:2", "s:"]) == {
        "x": (1, 3, 224, 224),
        "serving:0": (2,),
        "s": (),
    }
    for bad in ("x", ":1,2", "x:1,-2", "x:1.5"):
        with pytest.raises(UsageError):
            values.shapes([bad])


def test_models_expands_globs_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.onnx", "a.onnx", "sub/c.onnx", "odd[1].onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert values.models(["*.onnx", "a.onnx"]) == ["a.onnx", "b.onnx", "odd[1].onnx"]
    assert values.models(["**/*.onnx"])[-1] == "sub/c.onnx"
    assert values.models(["odd[1].onnx", "missing.onnx"]) == ["odd[1].onnx", "missing.onnx"]
