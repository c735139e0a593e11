"""On a GPU: proof of assignment, CPU and GPU agree, latency of both models, the gate with --provider cuda.

`pytest -m gpu tests/gate -s` with a CUDA device and `pip install "onnxdup[cuda]"`; skipped elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import onnxdup
from onnxdup.api.environment import examine
from onnxdup.errors import CannotVerify
from onnxdup.evaluation import compare
from onnxdup.runtime import Session
from onnxdup.runtime.environment import probe_gpu

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
MODELS = ("mlp_digits", "cnn_digits")
DATA = SAMPLES / "digits_test.npz"


def gpu() -> str:
    """Empty where a GPU run works, else the reason."""
    try:
        probe_gpu()
    except CannotVerify as error:
        return str(error)
    return ""


pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True, scope="module")
def _needs_a_gpu() -> None:
    reason = gpu()
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("name", MODELS)
def test_heavy_nodes_are_on_cuda(name: str) -> None:
    with Session.open(SAMPLES / f"{name}.onnx", provider="cuda") as session:
        assert session.provider_name == "cuda"
        assert session.placement.heavy_outside("CUDAExecutionProvider") == ()


@pytest.mark.parametrize("name", MODELS)
def test_accuracy_is_that_of_the_cpu(name: str) -> None:
    found = {
        where: onnxdup.evaluate(SAMPLES / f"{name}.onnx", DATA, provider=where, latency=False)
        for where in ("cpu", "cuda")
    }
    right = {where: found[where].accuracy for where in found}
    assert right["cpu"] is not None and right["cuda"] is not None
    assert abs(right["cpu"].top1 - right["cuda"].top1) <= 1 / 500
    assert found["cuda"].provider == "CUDA"


@pytest.mark.parametrize("batch", [1, 256])
@pytest.mark.parametrize("name", MODELS)
def test_latency_before_and_after_a_merge(name: str, batch: int) -> None:
    merged = onnxdup.merge(SAMPLES / f"{name}.onnx", tau=0.9, provider="cuda")
    found = compare(
        onnxdup.load(SAMPLES / f"{name}.onnx"),
        merged.document,
        data=DATA,
        provider="cuda",
        batch=batch,
        timed=True,
    )
    assert found.latency_before is not None and found.latency_after is not None
    assert found.latency_before.batch == batch and found.latency_after.median_ms > 0
    before, after = found.latency_before.median_ms, found.latency_after.median_ms
    print(f"{name}, batch {batch}: {before:.4g} -> {after:.4g} ms")


def test_the_gate_runs_on_the_gpu_in_its_own_process() -> None:
    found = onnxdup.check(
        SAMPLES / "mlp_digits.onnx",
        base=SAMPLES / "mlp_digits_padded.onnx",
        data=DATA,
        provider="cuda",
        max_drop=1,
        min_agreement=99,
        max_latency_ratio=5,
    )
    assert found.status == "passed" and found.models[0].facts.provider == "CUDA"


def test_doctor_says_that_the_gpu_works() -> None:
    found = examine()
    assert found.gpu.works and found.auto == "GPU" and "CUDA" in found.gpu.placement
    assert not found.problems
