"""Sessions: runs, types that numpy lacks, errors, and where the GPU is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from onnxdup.errors import CannotVerify, InputError, UsageError
from onnxdup.graph import parse, write
from onnxdup.runtime import Session, available_providers
from onnxdup.runtime.placement import CPU, CUDA

DENSE = parse(
    "g (float[N, 4] x) => (float[N, 3] y) { h = MatMul (x, w) y = Relu (h) }", w=np.ones((4, 3), "f4")
)


def gpu_works() -> bool:
    with Session.open(DENSE) as session:
        return session.provider == CUDA


def test_a_run_gives_arrays_by_name() -> None:
    with Session.open(DENSE, provider="cpu") as session:
        assert session.provider == CPU and session.provider_name == "cpu" and session.note == ""
        assert [(s.name, s.dtype, s.shape, s.kind) for s in session.inputs] == [
            ("x", np.dtype("f4"), ("N", 4), "tensor")
        ]
        outputs = session.run({"x": np.full((2, 4), 2, np.float32)})
        assert session.assignment() == {CPU: ["MatMul", "Relu"]}
        assert session.placement.total == 2
    np.testing.assert_array_equal(outputs["y"], np.full((2, 3), 8, np.float32))


def test_sessions_open_by_path(tmp_path: Path) -> None:
    write(DENSE, tmp_path / "m.onnx")
    with Session.open(tmp_path / "m.onnx", provider="cpu") as session:
        assert session.run({"x": np.zeros((1, 4), np.float32)})["y"].shape == (1, 3)


def test_bfloat16_goes_in_and_comes_out() -> None:
    model = parse(
        "g (bfloat16[N] x, float[N] z) => (bfloat16[N] y, float[N] v) { y = Identity(x) v = Neg(z) }"
    )
    x = np.array([1.5, -2, np.inf], ml_dtypes.bfloat16)
    with Session.open(model, provider="cpu") as session:
        outputs = session.run({"x": x, "z": np.ones(3, np.float32)})
    assert outputs["y"].dtype == x.dtype
    np.testing.assert_array_equal(outputs["y"], x)
    np.testing.assert_array_equal(outputs["v"], -np.ones(3, np.float32))


def test_sequences_come_out_as_lists() -> None:
    model = parse(
        "g (float[4] x) => (seq(float[2]) s) { s = SplitToSequence <axis = 0> (x, two) }", two=np.int64(2)
    )
    with Session.open(model, provider="cpu") as session:
        assert session.outputs[0].kind == "sequence" and session.outputs[0].dtype is None
        parts = session.run({"x": np.arange(4, dtype=np.float32)})["s"]
        session.bound({"x": np.arange(4, dtype=np.float32)})()
    assert [p.tolist() for p in parts] == [[0, 1], [2, 3]]


def test_bound_runs_repeat() -> None:
    with Session.open(DENSE, provider="cpu", optimize=True, deterministic=False, threads=1) as session:
        once = session.bound({"x": np.ones((2, 4), np.float32)})
        assert [once(), once()] == [None, None]


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "missing"),
        ({"x": np.ones((2, 5), np.float32)}, "Got: 5 Expected: 4"),
        ({"x": np.ones((2, 4))}, "tensor(double)"),
    ],
)
def test_wrong_feeds_are_one_line(feeds: dict[str, np.ndarray], words: str) -> None:
    with Session.open(DENSE, provider="cpu") as session, pytest.raises(CannotVerify) as caught:
        session.run(feeds)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_failing_nodes_are_named(capfd: pytest.CaptureFixture[str]) -> None:
    model = parse("g (int64[N] i) => (float[N, 2] y) { y = Gather (t, i) }", t=np.ones((3, 2), "f4"))
    with (
        Session.open(model, provider="cpu") as session,
        pytest.raises(CannotVerify, match="stopped in Gather"),
    ):
        session.run({"i": np.array([5])})
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Session.open(tmp_path / "missing.onnx")
    with pytest.raises(UsageError, match="unknown provider"):
        Session.open(DENSE, provider="tpu")
    newest = parse('<ir_version: 10, opset_import: ["" : 99]> g (float[1] x) => (float[1] y) { y = Relu(x) }')
    with pytest.raises(CannotVerify, match="and the model has 99"):
        Session.open(newest, provider="cpu")
    custom = parse(
        '<ir_version: 10, opset_import: ["" : 20, "my.domain" : 1]> '
        "g (float[1] x) => (float[1] y) { y = my.domain.Fancy(x) }"
    )
    with pytest.raises(CannotVerify, match=r"no operator Fancy of the domain my\.domain"):
        Session.open(custom, provider="cpu")


@pytest.mark.skipif(gpu_works(), reason="this machine has a GPU")
def test_without_a_gpu_auto_says_so_and_cuda_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    with Session.open(DENSE, provider="auto") as session:
        assert session.provider == CPU
        assert session.note.startswith("auto took CPU: ")
    with pytest.raises(CannotVerify, match="the GPU is not used") as caught:
        Session.open(DENSE, provider="cuda")
    if CUDA in available_providers() and sys.platform == "linux":
        assert "pip install" in str(caught.value) or "no CUDA device" in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
@pytest.mark.skipif(not gpu_works(), reason="no CUDA device")
def test_with_a_gpu_cuda_proves_its_use() -> None:
    with Session.open(DENSE, provider="cuda") as session:
        assert session.provider_name == "cuda"
        assert not session.placement.heavy_outside(CUDA)
        session.bound({"x": np.ones((2, 4), np.float32)})()
        y = session.run({"x": np.ones((2, 4), np.float32)})["y"]
    np.testing.assert_allclose(y, 4)


def test_nothing_is_printed_in_a_fresh_process(tmp_path: Path) -> None:
    write(DENSE, tmp_path / "m.onnx")
    code = f"from onnxdup.runtime import Session\nSession.open({str(tmp_path / 'm.onnx')!r}).close()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_onnxruntime_is_imported_only_when_a_session_opens() -> None:
    code = "import sys, onnxdup.runtime, onnxdup.evaluation; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
