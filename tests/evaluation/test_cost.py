"""Multiply-accumulates and parameters of single layers, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxdup.evaluation.cost import cost, measured_cost
from onnxdup.graph import parse, write


def f32(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("text", "tensors", "macs"),
    [
        ("g (float[2, 5] x) => (float[2, 7] y) { y = Gemm (x, w) }", {"w": f32(5, 7)}, 2 * 5 * 7),
        (
            "g (float[5, 2] x) => (float[2, 7] y) { y = Gemm <transA=1, transB=1> (x, w) }",
            {"w": f32(7, 5)},
            70,
        ),
        ("g (float[2, 3, 5] x) => (float[2, 3, 7] y) { y = MatMul (x, w) }", {"w": f32(5, 7)}, 2 * 3 * 5 * 7),
        ("g (float[5, 7] x) => (float[2, 7] y) { y = MatMul (w, x) }", {"w": f32(2, 5)}, 2 * 5 * 7),
        ("g (float[5] x) => (float[7] y) { y = MatMul (x, w) }", {"w": f32(5, 7)}, 35),
        (
            "g (float[1, 4, 8, 8] x) => (float[1, 6, 6, 6] y) { y = Conv (x, w) }",
            {"w": f32(6, 4, 3, 3)},
            6 * 36 * 4 * 9,
        ),
        (
            "g (float[1, 4, 8, 8] x) => (float[1, 4, 4, 4] y) "
            "{ y = Conv <group=4, strides=[2,2], pads=[1,1,1,1]> (x, w) }",
            {"w": f32(4, 1, 3, 3)},
            4 * 16 * 9,
        ),
        (
            "g (float[1, 4, 5, 5] x) => (float[1, 6, 10, 10] y) { y = ConvTranspose <strides=[2,2]> (x, w) }",
            {"w": f32(4, 6, 2, 2)},
            4 * 25 * 6 * 4,
        ),
        (
            "g (float[9, 2, 5] x) => (float[9, 1, 2, 3] y) { y = LSTM <hidden_size=3> (x, w, r) }",
            {"w": f32(1, 12, 5), "r": f32(1, 12, 3)},
            9 * 2 * 12 * 8,
        ),
        (
            "g (float[9, 2, 5] x) => (float[9, 2, 2, 3] y) "
            '{ y = GRU <hidden_size=3, direction="bidirectional"> (x, w, r) }',
            {"w": f32(2, 9, 5), "r": f32(2, 9, 3)},
            9 * 2 * 2 * 9 * 8,
        ),
        (
            'g (float[2, 3, 5] x) => (float[2, 3, 7] y) { y = Einsum <equation="bti,ij->btj"> (x, w) }',
            {"w": f32(5, 7)},
            210,
        ),
        ("g (float[2, 5] x) => (float[2, 5] y) { y = Add (x, w) }", {"w": f32(5)}, 0),
    ],
)
def test_macs(text: str, tensors: dict[str, np.ndarray], macs: int) -> None:
    found = cost(parse(text, **tensors))
    assert found.macs == macs and found.unknown == ()
    assert found.parameters == sum(t.size for t in tensors.values())
    assert found.weight_bytes == sum(t.nbytes for t in tensors.values())


def test_free_dimensions_are_unknown_until_given() -> None:
    model = parse("g (float[N, 5] x) => (float[N, 7] y) { y = Gemm (x, w) }", w=f32(5, 7))
    assert cost(model).macs is None and cost(model).unknown == ("Gemm_0",)
    assert cost(model, model.shapes({"x": (3, 5)})).macs == 105


def test_a_run_fills_in_what_inference_cannot_tell() -> None:
    text = """g (float[2, 6] x) => (float[K, 5] y) {
      nz = NonZero (x)
      t = Transpose (nz)
      f = Cast <to = 1> (t)
      y = MatMul (f, w)
    }"""
    model = parse(text, w=f32(2, 5))
    assert cost(model).macs is None
    assert measured_cost(model, {"x": np.eye(2, 6, dtype=np.float32)}, 2).macs == 2 * 2 * 5


def test_shape_constants_are_no_parameters_and_shared_weights_count_once(tmp_path: Path) -> None:
    text = "g (float[2, 4] x) => (float[2, 4] y) { a = MatMul (x, w) b = MatMul (a, w) y = Reshape (b, s) }"
    model = parse(text, w=f32(4, 4), s=np.array([2, 4]))
    assert cost(model).parameters == 16 and cost(model).macs == 64
    assert [layer.parameters for layer in cost(model).layers] == [16, 16]
    path = write(model, tmp_path / "m.onnx")[0]
    assert cost(model).bytes > 0 and path.stat().st_size > 64
