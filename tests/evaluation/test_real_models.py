"""Published models: each equals itself on made-up inputs.

The models are no part of this repository: ONNXDUP_ZOO names the folder with `manifest.jsonl` (default:
../shared/zoo beside the repository); without it these tests skip.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdup.errors import OnnxdupError
from onnxdup.evaluation import compare
from onnxdup.evaluation.synth import plan_inputs
from onnxdup.graph import load
from onnxdup.runtime import Session

SHARED = Path(__file__).parents[2].parent / "shared"
ZOO = Path(os.environ.get("ONNXDUP_ZOO", SHARED / "zoo"))
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
