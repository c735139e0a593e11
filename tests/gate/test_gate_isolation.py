"""Models in a process of their own: what goes wrong there is one line, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdup
from onnxdup.api import isolated, isolation
from onnxdup.api.isolation import Isolation, default_memory, run_isolated
from onnxdup.errors import Bug, CannotVerify, InputError, UsageError
from onnxdup.graph import parse, write

HERE = Path(__file__).parent
TEXT = "mlp (float[N, 4] x) => (float[N, 3] y) { h = Gemm (x, w)  r = Relu (h)  y = Gemm (r, v) }"


def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {k: random.normal(size=s).astype(np.float32) for k, s in (("w", (4, 6)), ("v", (6, 3)))}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(parse(TEXT, **weights()), tmp_path / "m.onnx")[0]


@pytest.fixture
def data_function(model: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Checks a model with data from a function of `isolation_jobs`: it runs in the child."""
    monkeypatch.chdir(HERE)

    def call(function: str, **limits: Any) -> Any:
        found = Isolation(**{"seconds": 120, **limits})
        return onnxdup.check(model, data=f"isolation_jobs:{function}", max_bytes=10**6, isolate=found)

    return call


def test_a_child_that_hangs_is_ended_in_time(data_function: Any) -> None:
    start = time.monotonic()
    with pytest.raises(CannotVerify, match=r"m\.onnx: not done within the time limit of 6 s"):
        data_function("hang", seconds=6)
    assert time.monotonic() - start < 30


def test_a_child_that_crashes(data_function: Any) -> None:
    with pytest.raises(CannotVerify, match="was ended by SIGSEGV") as caught:
        data_function("crash")
    assert caught.value.exit_code == 4 and "\n" not in str(caught.value)


def test_a_child_that_is_killed(data_function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = []

    def kill(child: subprocess.Popen[bytes], *_: Any) -> int:
        killed.append(child.pid)
        child.kill()
        return child.wait()

    monkeypatch.setattr(isolation, "_watch", kill)
    with pytest.raises(CannotVerify, match="was ended by SIGKILL"):
        data_function("hang")
    with pytest.raises(ProcessLookupError):
        os.kill(killed[0], 0)


def test_a_child_that_leaves_without_an_answer(data_function: Any) -> None:
    with pytest.raises(CannotVerify, match=r"ended with status 7 \(the last words\)"):
        data_function("vanish")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_a_child_that_exceeds_memory(data_function: Any) -> None:
    with pytest.raises(CannotVerify, match="needs more than the memory limit"):
        data_function("grow", bytes=2**30)


def test_an_address_space_limit_where_residence_is_unknown(
    data_function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "_STATM", "/nowhere/{}")
    with pytest.raises(CannotVerify, match="needs more than the memory limit"):
        data_function("grow", bytes=3 * 2**30)


def test_errors_of_the_job_come_back_as_they_were(data_function: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the function raised ZeroDivisionError: nothing left"):
        data_function("bug")
    with pytest.raises(UsageError, match="no such function"):
        data_function("nonsense")
    with pytest.raises(InputError, match=r"missing\.onnx"):
        onnxdup.check(tmp_path / "missing.onnx")


def test_memory_errors_and_bugs_of_the_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def job(error: Exception) -> Any:
        def fail(_arguments: dict[str, Any]) -> Any:
            raise error

        return fail

    jobs = {"exhaust": job(MemoryError()), "bug": job(ZeroDivisionError("nothing left"))}
    monkeypatch.setattr(isolated, "JOBS", jobs)
    assert isolated.respond({"job": "exhaust", "arguments": {}})["error"]["class"] == "MemoryError"
    again = isolation._again(isolated.respond({"job": "bug", "arguments": {}})["error"])
    assert isinstance(again, Bug) and "ZeroDivisionError: nothing left" in str(again)
    with pytest.raises(Bug, match="KeyError"):
        run_isolated("no such job", {}, Isolation(60), what="m.onnx")


def test_isolated_and_not_isolated_agree(model: Path) -> None:
    random = np.random.default_rng(0)
    data = {"x": random.normal(size=(16, 4)).astype(np.float32), "y": random.integers(0, 3, 16)}
    wanted = {"base": model, "data": data, "max_drop": 50, "max_macs": 10**6}
    assert onnxdup.check(model, **wanted) == onnxdup.check(model, **wanted, isolate=False)


def test_models_and_data_in_memory(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = parse(TEXT, **weights())
    x, y = np.ones((4, 4), np.float32), np.zeros(4, np.int64)
    found = onnxdup.check(document, base=document, data=(x, y), max_drop=100)
    facts = found.models[0].facts
    assert facts.model.path is None and facts.model.sha256 == document.sha256()
    assert facts.base is not None and facts.base.model == facts.model
    assert facts.inputs is not None and facts.inputs.samples == 4
    assert capfd.readouterr() == ("", "")


def test_a_data_function_runs_in_the_child_and_prints_nothing_here(
    data_function: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert data_function("labelled").models[0].facts.inputs.samples == 16
    assert capfd.readouterr() == ("", "")


def test_default_memory_is_less_than_there_is() -> None:
    found = default_memory()
    assert found is None or 2**28 < found < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
