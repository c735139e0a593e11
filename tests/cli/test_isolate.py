"""`--isolate` on merge, verify and evaluate: a child that crashes, hangs or grows is one line and exit 4."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
MLP, TEST = SAMPLES / "mlp_digits.onnx", SAMPLES / "digits_test.npz"


def onnxdup(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    where = os.pathsep.join(p for p in (str(SAMPLES.parent), os.environ.get("PYTHONPATH", "")) if p)
    return subprocess.run(
        [sys.executable, "-m", "onnxdup", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": where, **environment},
        timeout=300,
        check=False,
    )


def test_merge_in_a_child_writes_the_same_file(tmp_path: Path) -> None:
    plain, isolated = tmp_path / "a.onnx", tmp_path / "b.onnx"
    first = onnxdup("merge", MLP, "--tau", "0.9", "-o", plain)
    second = onnxdup("merge", MLP, "--tau", "0.9", "-o", isolated, "--isolate")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert plain.read_bytes() == isolated.read_bytes()
    assert first.stdout.replace("a.onnx", "b.onnx") == second.stdout


def test_errors_and_exit_codes_come_through() -> None:
    gone = onnxdup("evaluate", "missing.onnx", "--data", TEST, "--isolate")
    assert gone.returncode == 3
    assert len(gone.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("limit", "word"),
    [(("--time-limit", "0.05"), "time limit"), (("--memory-limit", "20MB"), "memory limit")],
)
def test_limits_end_in_one_line_and_leave_nothing(tmp_path: Path, limit: tuple[str, str], word: str) -> None:
    output = tmp_path / "small.onnx"
    found = onnxdup("merge", MLP, "--tau", "0.9", "--data", TEST, "-o", output, "--isolate", *limit)
    assert found.returncode == 4, found.stderr
    assert word in found.stderr.strip().splitlines()[-1]
    assert "Traceback" not in found.stderr
    assert not output.exists()
