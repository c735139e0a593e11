"""Weights that the graph itself quantises, int4, float16 scales, chains around DequantizeLinear."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from quantised.qdq import run

from onnxdup.channels import trace
from onnxdup.graph import load, write
from onnxdup.reduce import merge

BODY = "r=Relu(a) y=Gemm<transB=1>(r,v,b2)"
FORMS = {
    "plain": f"d=DequantizeLinear(w1,s,z) v=DequantizeLinear(w2,s,z) a=Gemm<transB=1>(x,d,b1) {BODY}",
    "transposed": "d=DequantizeLinear(w1,s,z) t=Transpose(d) v=DequantizeLinear(w2,s,z) m=MatMul(x,t) "
    f"a=Add(m,b1) {BODY}",
    "transposed_codes": "t=Transpose(w1) d=DequantizeLinear<axis=1>(t,p,q) v=DequantizeLinear(w2,s,z) "
    f"m=MatMul(x,d) a=Add(m,b1) {BODY}",
    "identity": "i=Identity(w1) d=DequantizeLinear<axis=0>(i,p,q) e=Identity(d) u=Identity(w2) "
    f"v=DequantizeLinear(u,s,z) a=Gemm<transB=1>(x,e,b1) {BODY}",
    "per_input": "d=DequantizeLinear(w1,s,z) v=DequantizeLinear<axis=1>(w2,p,q) a=Gemm<transB=1>(x,d,b1) "
    + BODY,
}


def parsed(body: str, arrays: dict[str, np.ndarray], opset: int = 21) -> onnx.ModelProto:
    """float[N,12] x to float[N,4] y."""
    text = f'<ir_version: 10, opset_import: ["": {opset}]> g (float[N,12] x) => (float[N,4] y) {{ {body} }}'
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in arrays.items())
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    onnx.checker.check_model(model, full_check=True)
    return model


def arrays(dtype: np.dtype = np.dtype(np.int8), top: int = 30) -> dict[str, np.ndarray]:
    """Weights in which channel 3 copies channel 0."""
    rng = np.random.default_rng(1)
    w1 = rng.integers(-top, top, (8, 12)).astype(dtype)
    w1[3] = w1[0]
    scales = (rng.random(8) * 0.1 + 0.01).astype(np.float32)
    scales[3] = scales[0]
    b1 = rng.normal(size=8).astype(np.float32)
    b1[3] = b1[0]
    return {
        "w1": w1,
        "w2": rng.integers(-top, top, (4, 8)).astype(dtype),
        "s": np.array(0.03, np.float32),
        "z": np.array(2, np.int8).astype(dtype),
        "p": scales,
        "q": np.full(8, 1).astype(dtype),
        "b1": b1,
        "b2": rng.normal(size=4).astype(np.float32),
    }


def check(model: onnx.ModelProto, folder: Path, removed: int = 1) -> onnx.ModelProto:
    """Merge; the outputs stay within float32 rounding."""
    reduction = merge(load(model))
    small = onnx.load(write(reduction.document, folder / "small.onnx")[0])
    onnx.checker.check_model(small, full_check=True)
    assert reduction.removed == removed, [(g.name, str(g.frozen)) for g in reduction.before.groups]
    feeds = {"x": np.random.default_rng(2).normal(size=(32, 12)).astype(np.float32)}
    before, after = (run(m, feeds, fused=False)[0] for m in (model, small))
    assert np.abs(before - after).max() <= 2e-5 * np.abs(before).max()
    return small


@pytest.mark.parametrize("form", FORMS)
def test_weight_only(tmp_path: Path, form: str) -> None:
    small = check(parsed(FORMS[form], arrays()), tmp_path)
    kinds = {t.name: t.data_type for t in small.graph.initializer}
    assert kinds["w1"] == kinds["w2"] == onnx.TensorProto.INT8


def test_unequal_scales_of_the_columns(tmp_path: Path) -> None:
    held = arrays()
    held["p"][3] *= 2
    check(parsed(FORMS["per_input"], held), tmp_path, removed=0)


def test_int4(tmp_path: Path) -> None:
    small = check(parsed(FORMS["plain"], arrays(np.dtype(ml_dtypes.int4), 3)), tmp_path)
    assert {t.data_type for t in small.graph.initializer if t.name[0] == "w"} == {onnx.TensorProto.INT4}


def test_int4_sums_that_do_not_fit(tmp_path: Path) -> None:
    held = arrays(np.dtype(ml_dtypes.int4), 3)
    held["w2"][:, [0, 3]] = 7
    check(parsed(FORMS["plain"], held), tmp_path, removed=0)
    assert merge(load(parsed(FORMS["plain"], held))).left[0].reason == "the sum does not fit int4"


def test_scaled_rows_without_quantised_activations(tmp_path: Path) -> None:
    """Twice the codes: the reader's codes are doubled too."""
    held = arrays()
    held["z"] = np.array(0, np.int8)
    held["w1"][3], held["b1"][3] = 2 * held["w1"][0], 2 * held["b1"][0]
    check(parsed(FORMS["plain"], held), tmp_path)


def test_rows_scaled_by_a_fraction_stay(tmp_path: Path) -> None:
    """Half the codes would need half codes in the reader."""
    held = arrays()
    held["z"] = np.array(0, np.int8)
    held["w1"][0] *= 2
    held["w1"][3], held["b1"][3] = held["w1"][0] // 2, held["b1"][0] / 2
    held["w2"][:, 3] |= 1
    assert merge(load(parsed(FORMS["plain"], held))).left
    check(parsed(FORMS["plain"], held), tmp_path, removed=0)


@pytest.mark.parametrize("per_channel", [False, True])
def test_floats_quantised_by_the_graph(tmp_path: Path, per_channel: bool) -> None:
    """Exports of quantisation-aware training: float weight, QuantizeLinear, DequantizeLinear."""
    s, z = ("p", "q") if per_channel else ("s", "z")
    body = (
        f"c=QuantizeLinear<axis=0>(w1,{s},{z}) d=DequantizeLinear<axis=0>(c,{s},{z}) "
        "e=QuantizeLinear(w2,s,z) v=DequantizeLinear(e,s,z) a=Gemm<transB=1>(x,d,b1) "
        "k=QuantizeLinear(a,t,u) l=DequantizeLinear(k,t,u) " + BODY.replace("Relu(a)", "Relu(l)")
    )
    held = arrays()
    rng = np.random.default_rng(3)
    held["w1"] = rng.normal(size=(8, 12)).astype(np.float32) * 0.3
    held["w1"][3] = held["w1"][0] + np.float32(1e-6)
    held["w2"] = rng.normal(size=(4, 8)).astype(np.float32) * 0.3
    held |= {"t": np.array(0.05, np.float32), "u": np.array(128, np.uint8)}
    small = check(parsed(body, held), tmp_path)
    kinds = {t.name: t.data_type for t in small.graph.initializer}
    assert kinds["w1"] == kinds["w2"] == onnx.TensorProto.FLOAT


def test_one_weight_read_with_two_zero_points() -> None:
    body = (
        "d=DequantizeLinear(w1,s,z) e=DequantizeLinear(w1,s,y0) v=DequantizeLinear(w2,s,z) "
        "a=Gemm<transB=1>(x,d,b1) k=Gemm<transB=1>(x,e,b1) f=Add(a,k) r=Relu(f) y=Gemm<transB=1>(r,v,b2)"
    )
    model = parsed(body, {**arrays(), "y0": np.array(5, np.int8)})
    assert "zero points" in str(trace(load(model)).groups[0].frozen)
