"""The sample files are what their README says."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

RIGHT = {"mlp_digits": 492, "mlp_digits_narrow": 492, "cnn_digits": 496, "mlp_digits_padded": 492}


@pytest.fixture
def samples(root):
    return root / "samples"


@pytest.fixture
def plant(samples):
    """The module samples/plant.py."""
    spec = importlib.util.spec_from_file_location("plant", samples / "plant.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["plant"] = module
    spec.loader.exec_module(module)
    return module


def logits(model, x):
    raw = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
    return onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"]).run(["logits"], {"x": x})[0]


def weights(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.mark.parametrize("name", RIGHT)
def test_sample_runs_with_the_stated_accuracy(samples, name):
    path = samples / f"{name}.onnx"
    assert path.stat().st_size < 1_000_000
    onnx.checker.check_model(path, full_check=True)
    with np.load(samples / "digits_test.npz") as data:
        right = int((logits(path, data["x"]).argmax(1) == data["y"]).sum())
        assert (data["x"].dtype, data["y"].dtype, len(data["y"])) == (np.float32, np.int64, 500)
    assert abs(right - RIGHT[name]) <= 1  # a tie may fall otherwise on another processor
    readme = (samples / "README.md").read_text(encoding="utf-8")
    assert f"{RIGHT[name]} ({RIGHT[name] / 5:.1f} %)" in readme


def test_samples_name_no_machine(samples):
    for path in samples.glob("*.onnx"):
        assert not any(
            part in path.read_bytes() for part in (b"/home/", b"/root/", b"/tmp/", b"site-packages")
        )


def test_cnn_keeps_batchnorm_and_has_residuals(samples):
    operators = [n.op_type for n in onnx.load(samples / "cnn_digits.onnx").graph.node]
    assert operators.count("BatchNormalization") == operators.count("Conv") == 9
    assert operators.count("Add") == 3


def test_mlp_has_near_duplicates_that_are_not_exact(samples):
    rows = weights(onnx.load(samples / "mlp_digits.onnx"))["fc1.weight"].astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(len(rows), 1)]
    assert (cosines >= 0.9).sum() > 150
    assert cosines.max() < 0.9999


def test_padded_has_the_planted_duplicates(samples):
    padded, plain = (onnx.load(samples / f"{name}.onnx") for name in ("mlp_digits_padded", "mlp_digits"))
    props = {p.key: p.value for p in padded.metadata_props}
    assert json.loads(props["samples.planted"]) == {"fc1": 128, "fc2": 32}
    assert {p.key: p.value for p in plain.metadata_props}.items() < props.items()
    for layer, width in (("fc1", 256), ("fc2", 64)):
        wide = weights(padded)
        joint = np.column_stack([wide[f"{layer}.weight"], wide[f"{layer}.bias"]]).astype(np.float64)
        unit = joint / np.linalg.norm(joint, axis=1, keepdims=True)
        apart = np.linalg.norm(unit[:, None] - unit[None], axis=2) > 1e-6
        assert len(np.unique((~apart).argmax(1))) == width


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planting_keeps_the_function(samples, plant, seed):
    model = onnx.load(samples / "mlp_digits.onnx")
    before = model.SerializeToString(deterministic=True)
    wide = plant.plant(model, {"fc1": 40, "fc2": 9}, seed)
    assert model.SerializeToString(deterministic=True) == before
    with np.load(samples / "digits_test.npz") as data:
        a, b = logits(model, data["x"]), logits(wide, data["x"])
    assert weights(wide)["fc1.weight"].shape == (296, 64)
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_scales_are_not_only_powers_of_two(plant):
    scales = plant.draw_scales(1000, np.random.default_rng(0))
    mantissa = np.frexp(scales)[0]
    assert 0.5 < (mantissa != 0.5).mean() < 0.7
    assert scales.min() > 0


def test_planting_elsewhere_is_refused(samples, plant):
    with pytest.raises(ValueError, match="must be read by one Gemm"):
        plant.plant(onnx.load(samples / "cnn_digits.onnx"), {"conv1": 3})
