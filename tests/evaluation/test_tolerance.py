"""The pass mark of exact merges: above what reordering does, below what an error does."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxdup.evaluation.tolerance import exact_tolerance, gamma
from onnxdup.graph import parse

F32 = 2.0**-24


def f32(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@given(st.integers(2, 4000), st.integers(0, 10_000))
def test_gamma_bounds_a_dot_product_in_any_order(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, n)).astype(np.float32)
    products = x * w
    exact = math.fsum(x.astype(float) * w.astype(float))
    bound = gamma(n, F32) * float(np.abs(x.astype(float)) @ np.abs(w.astype(float)))
    for order in (products, products[::-1], np.sort(products)):
        assert abs(float(np.cumsum(order, dtype=np.float32)[-1]) - exact) <= bound


def test_gamma_of_long_half_precision_sums_is_finite() -> None:
    half = 2.0**-11
    assert gamma(100, half) == pytest.approx(100 * half / (1 - 100 * half))
    assert 0 < gamma(4096, half) < 1


@pytest.mark.parametrize(
    ("text", "tensors", "fan_in", "depth", "u"),
    [
        (
            "g (float[1, 8] x) => (float[1, 2] y) "
            "{ a = MatMul (x, v) b = Relu (a) y = Gemm <transB=1> (b, w) }",
            {"v": f32(8, 5), "w": f32(2, 5)},
            8,
            2,
            F32,
        ),
        (
            "g (float[1, 4, 9, 9] x) => (float[1, 4, 9, 9] y) "
            "{ a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <pads=[1,1,1,1]> (x, w) y = Add (a, b) }",
            {"w": f32(4, 4, 3, 3)},
            36,
            1,
            F32,
        ),
        (
            "g (float[5, 1, 3] x) => (float[5, 1, 1, 2] y) { y = LSTM <hidden_size=2> (x, w, r) }",
            {"w": f32(1, 8, 3), "r": f32(1, 8, 2)},
            5,
            16,
            F32,
        ),
        (
            "g (float16[1, 8] x) => (float16[1, 5] y) { y = MatMul (x, w) }",
            {"w": np.ones((8, 5), "f2")},
            8,
            1,
            2.0**-11,
        ),
        (
            "g (bfloat16[1, 8] x) => (bfloat16[1, 5] y) { y = MatMul (x, w) }",
            {"w": np.ones((8, 5), ml_dtypes.bfloat16)},
            8,
            1,
            2.0**-8,
        ),
        ("g (float[1, 8] x) => (float[1, 8] y) { y = Relu (x) }", {}, 0, 0, F32),
    ],
)
def test_fan_in_depth_and_precision(
    text: str, tensors: dict[str, np.ndarray], fan_in: int, depth: int, u: float
) -> None:
    tolerance = exact_tolerance(parse(text, **tensors))
    assert (tolerance.fan_in, tolerance.depth, tolerance.unit_roundoff) == (fan_in, depth, u)
    assert 0 < tolerance.relative <= 0.05


def test_lengths_add_up_along_the_longest_path() -> None:
    text = """g (float[1, 8] x) => (float[1, 8] y) {
      a = MatMul (x, w)
      b = MatMul (a, w)
      c = MatMul (x, w)
      y = Add (b, c)
    }"""
    tolerance = exact_tolerance(parse(text, w=f32(8, 8)), exact_ulp=4)
    assert (tolerance.depth, tolerance.path_sum) == (2, 2 * (8 + 9))
    assert tolerance.relative == pytest.approx(2 * gamma(34, F32))


def test_noise_and_scale_set_the_absolute_mark() -> None:
    tolerance = exact_tolerance(
        parse("g (float[1, 8] x) => (float[1, 5] y) { y = MatMul (x, w) }", w=f32(8, 5))
    )
    assert tolerance.absolute(10.0) == 10 * tolerance.relative
    assert tolerance.absolute(0.0, noise=1e-3) == pytest.approx(8e-3)
    assert tolerance.absolute(0.0) > 0
