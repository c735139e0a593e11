"""Running the command line in a process of its own, or in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import ROOT, Done


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Done]:
    """Runs `python -m onnxdup …` in the test's folder, without terminal or inherited settings."""

    def call(*arguments: object, cwd: Path | None = None, **environment: str) -> Done:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ONNXDUP_")}
        env = {**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "OMP_NUM_THREADS": "1", **environment}
        command = [sys.executable, "-m", "onnxdup", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=cwd or tmp_path, env=env, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs a command line in this process, in the test's folder."""
    from onnxdup.cli import main

    for name in [n for n in os.environ if n.startswith("ONNXDUP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: object) -> Done:
        capfd.readouterr()
        code = main([*map(str, arguments)])
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return call
