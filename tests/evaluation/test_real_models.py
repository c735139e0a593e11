"""Published models: each equals itself on made-up inputs, and known accuracies come out again.

The models and data are no part of this repository: ONNXDUP_ZOO names the folder with `manifest.jsonl`,
ONNXDUP_DATA the one with the data sets (default: ../shared beside the repository); without them these tests
skip.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdup.errors import OnnxdupError
from onnxdup.evaluation import compare, evaluate
from onnxdup.evaluation.synth import plan_inputs
from onnxdup.graph import load
from onnxdup.runtime import Session

SHARED = Path(__file__).parents[2].parent / "shared"
ZOO = Path(os.environ.get("ONNXDUP_ZOO", SHARED / "zoo"))
DATA = Path(os.environ.get("ONNXDUP_DATA", SHARED / "data"))
MANIFEST = ZOO / "manifest.jsonl"


def manifest() -> list[dict[str, Any]]:
    if not MANIFEST.is_file():
        return []
    return [json.loads(line) for line in MANIFEST.read_text(encoding="utf-8").splitlines()]


MODELS = manifest() or [pytest.param({}, marks=pytest.mark.skip(f"no models in {ZOO} (set ONNXDUP_ZOO)"))]
RUNNING = [m for m in MODELS if isinstance(m, dict) and m["ort_run"] == "ok"] or MODELS
BROKEN = [m for m in MODELS if isinstance(m, dict) and m["ort_run"] != "ok"] or MODELS
SLOW = {"fns_mosaic.onnx", "deeplab_dm05_513.onnx", "light_densenet121.onnx", "light_inception_v2.onnx"}


def named(model: Any) -> str:
    return str(model.get("name", "none")) if isinstance(model, dict) else "none"


@pytest.mark.parametrize(
    "model",
    [pytest.param(m, marks=pytest.mark.slow) if named(m) + ".onnx" in SLOW else m for m in RUNNING],
    ids=named,
)
def test_a_model_equals_itself_on_made_up_inputs(model: dict[str, Any]) -> None:
    document = load(ZOO / model["file"])
    result = compare(document, document, provider="cpu", samples=1)
    assert result.max_absolute_error == 0 and result.beyond_exact == ()
    assert result.finite
    assert result.cost_before.macs is not None


@pytest.mark.parametrize("model", BROKEN, ids=named)
def test_models_that_cannot_run_say_why_in_one_line(model: dict[str, Any]) -> None:
    with pytest.raises(OnnxdupError) as caught, Session.open(load(ZOO / model["file"]), provider="cpu"):
        pass
    line = str(caught.value)
    assert model["file"] in line and "\n" not in line and len(line) < 300
    assert "onnxruntime_src" not in line


def test_token_ids_of_a_published_model_stay_in_its_table() -> None:
    path = ZOO / "magika_standard_v3_3.onnx"
    if not path.is_file():
        pytest.skip(f"no models in {ZOO} (set ONNXDUP_ZOO)")
    plan = plan_inputs(load(path)).plans[0]
    assert plan.dtype == np.int32 and plan.limit == 257


LABELLED = [m for m in MODELS if isinstance(m, dict) and m.get("accuracy")] or MODELS


def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Test images (n, channels, height, width) in [0, 1] and their labels."""
    if name == "MNIST":
        if not (DATA / "mnist.npz").is_file():
            pytest.skip(f"no mnist.npz in {DATA} (set ONNXDUP_DATA)")
        with np.load(DATA / "mnist.npz") as arrays:
            return (arrays["x_test"][:, None] / 255).astype(np.float32), arrays["y_test"]
    strips = sorted((DATA / "cifar10").glob("test_*.webp"))
    if not strips:
        pytest.skip(f"no CIFAR-10 in {DATA} (set ONNXDUP_DATA)")
    image = pytest.importorskip("PIL.Image", reason="Pillow decodes the CIFAR-10 strips")
    pixels = np.concatenate([np.asarray(image.open(p)).reshape(-1, 32, 32, 3) for p in strips])
    with np.load(DATA / "cifar10" / "labels.npz") as arrays:
        return (pixels.transpose(0, 3, 1, 2) / 255).astype(np.float32), arrays["y_test"]


@pytest.mark.parametrize("model", LABELLED, ids=named)
def test_published_accuracies_come_out_again(model: dict[str, Any]) -> None:
    known = model["accuracy"]
    x, y = images(known["dataset"].split()[0])
    if known["preprocess"].startswith("kw"):
        mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
        x = (x - mean) / np.float32(0.225)
    if known["layout"] == "NHWC":
        x = x.transpose(0, 2, 3, 1)
    document = load(ZOO / model["file"])
    dims = document.inputs[0].shape
    assert dims is not None
    n = known["n"]
    data = (x[:n].reshape(n, *(d for d in dims[1:] if isinstance(d, int))), y[:n])
    result = evaluate(document, data, provider="cpu", timed=False)
    assert result.accuracy is not None
    assert result.accuracy.top1 == pytest.approx(known["acc"], abs=0.5 / n)
