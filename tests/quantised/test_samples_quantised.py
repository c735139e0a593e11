"""The sample models after static quantisation: smaller, with the same answers bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from quantised.qdq import Arrays, run

from onnxdup import api

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


class Digits(CalibrationDataReader):
    """Calibration on the first 256 digits."""

    def __init__(self, name: str, images: np.ndarray) -> None:
        self.batches = iter([{name: images[i : i + 32]} for i in range(0, 256, 32)])

    def get_next(self) -> Arrays | None:  # type: ignore[override]
        return next(self.batches, None)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", ["mlp_digits", "mlp_digits_padded"])
def test_quantised_sample(tmp_path: Path, name: str, per_channel: bool) -> None:
    source, path = SAMPLES / f"{name}.onnx", tmp_path / "q.onnx"
    value = onnx.load(source).graph.input[0]
    shape = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
    with np.load(SAMPLES / "digits_test.npz") as digits:
        images = digits["x"].astype(np.float32).reshape(-1, *shape)
    quantize_static(
        *(str(source), str(path), Digits(value.name, images)),
        per_channel=per_channel,
        weight_type=QuantType.QInt8,
    )
    merged = api.merge(path, output=tmp_path / "small.onnx")
    assert merged.report.plan.exact >= 40
    assert merged.report.bytes.after < 0.85 * merged.report.bytes.before
    models = [onnx.load(p) for p in (path, tmp_path / "small.onnx")]
    for fused in (True, False):
        before, after = (run(m, {value.name: images}, fused=fused)[0] for m in models)
        assert np.array_equal(before, after)
