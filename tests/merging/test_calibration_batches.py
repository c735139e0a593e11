"""Calibration data in the batches that a model takes: every sample counts once."""

from __future__ import annotations

import numpy as np
import pytest
from test_calibration import shifted

import onnxdup
from onnxdup.graph import Document, parse
from onnxdup.merging.moments.sketch import stored_moments

SAMPLES = 18


def net(batch: str, rows: int = -1) -> Document:
    """Images to six numbers; `rows` is the batch that the graph's Reshape insists on."""
    text = f"""<ir_version: 8, opset_import: ["": 17]> g (float[{batch},3,9,9] x) => (float[{batch},6] y) {{
      a=Conv<pads=[1,1,1,1]>(x,w1) r=Relu(a) p=GlobalAveragePool(r)
      f=Reshape(p,s) y=Gemm<transB=1>(f,w2) }}"""
    random = np.random.default_rng(1)
    weights = {k: random.normal(size=d).astype("f4") for k, d in (("w1", (8, 3, 3, 3)), ("w2", (6, 8)))}
    return parse(text, s=np.array([rows, 8]), **weights)


@pytest.mark.parametrize("document", [net("16"), net("1"), net("N", 1)], ids=["of 16", "of 1", "baked in"])
def test_batches_of_the_model_teach_what_free_ones_teach(document: Document) -> None:
    data = {"x": shifted(SAMPLES, 3)}
    data["x"][-1] += 20
    wanted = stored_moments(onnxdup.calibrate(net("N"), data).document)
    found = stored_moments(onnxdup.calibrate(document, data).document)
    assert set(found) == set(wanted) == {"x", "f"}
    for name, value in found.items():
        np.testing.assert_allclose(value.mean, wanted[name].mean, rtol=1e-4)
        np.testing.assert_allclose(np.diag(value.covariance), np.diag(wanted[name].covariance), rtol=1e-3)


@pytest.mark.parametrize("document", [net("16"), net("N", 1)], ids=["of 16", "baked in"])
def test_merging_with_calibration_takes_them_too(document: Document) -> None:
    data = {"x": shifted(SAMPLES, 3)}
    wanted = onnxdup.merge(net("N"), tau=0.5, method="obs", keep=0.5, calibration=data).plan
    found = onnxdup.merge(document, tau=0.5, method="obs", keep=0.5, calibration=data).plan
    assert (
        [m.size - len(m.keep) for m in found.merges] == [m.size - len(m.keep) for m in wanted.merges] == [4]
    )
