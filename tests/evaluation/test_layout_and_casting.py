"""Which axis counts samples, and casts that keep values."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from onnxdup.errors import InputError
from onnxdup.evaluation.casting import cast
from onnxdup.evaluation.layout import Layout, choose_layout, count_samples


@pytest.mark.parametrize(
    ("dims", "shape", "samples", "layout"),
    [
        (("N", 3, 8, 8), (50, 3, 8, 8), 50, Layout.BATCHED),
        ((1, 3, 8, 8), (50, 3, 8, 8), 50, Layout.BATCHED),
        ((10, 4), (50, 4), 50, Layout.BATCHED),
        ((None, None), (50, 7), 50, Layout.BATCHED),
        (("N",), (50,), 50, Layout.BATCHED),
        ((1,), (50,), 50, Layout.BATCHED),
        ((300,), (50, 300), 50, Layout.STACKED),
        ((2, 1, 128), (50, 2, 1, 128), 50, Layout.STACKED),
        ((2, 1, 128), (2, 1, 128), 50, Layout.CONSTANT),
        ((), (), 50, Layout.CONSTANT),
        ((), (50,), 50, Layout.STACKED),
        ((300,), (300,), 50, Layout.CONSTANT),
    ],
)
def test_layouts(
    dims: tuple[int | str | None, ...], shape: tuple[int, ...], samples: int, layout: Layout
) -> None:
    assert choose_layout("x", shape, dims, samples) is layout


@pytest.mark.parametrize(
    ("dims", "shape", "words"),
    [
        (("N", 3, 32, 32), (50, 32, 32, 3), "transpose it by (0, 3, 1, 2)"),
        (("N", 32, 32, 3), (50, 3, 32, 32), "transpose it by (0, 2, 3, 1)"),
        (("N", 1, 28, 28), (50, 784), "reshape it to (samples, 1, 28, 28)"),
        (("N", 4), (50, 5), "array of shape (50, 5) for an input of shape (N, 4); give (samples, 4)"),
        (("N", 4), (40, 4), "40 samples in this array, 50 in the others"),
    ],
)
def test_what_does_not_fit_says_what_to_do(
    dims: tuple[int | str | None, ...], shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        choose_layout("x", shape, dims, 50, file="d.npz")
    assert words in str(caught.value) and "tensor x" in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "dims", "samples"),
    [
        ({"x": (50, 4)}, {"x": ("N", 4)}, 50),
        ({"h": (2, 1, 8), "x": (50, 4)}, {"h": (2, 1, 8), "x": (1, 4)}, 50),
        ({"x": (10, 4)}, {"x": (10, 4)}, 10),
        ({"x": (300,)}, {"x": (300,)}, 1),
        ({"x": (7, 300)}, {"x": (300,)}, 7),
    ],
)
def test_samples_are_counted_without_labels(
    arrays: dict[str, tuple[int, ...]], dims: dict[str, tuple[int | str, ...]], samples: int
) -> None:
    assert count_samples(arrays, dims) == samples


@pytest.mark.parametrize(
    ("have", "want"),
    [
        (np.array([0.1, 1e-3]), np.float32),
        (np.array([1, 255], np.uint8), np.float32),
        (np.array([0.1], np.float32), ml_dtypes.bfloat16),
        (np.array([3.0, 4.0]), np.int64),
        (np.array([0, 1]), np.bool_),
        (np.array([np.nan, np.inf]), np.float32),
        (np.array(["a", "b"]), object),
    ],
)
def test_casts_that_keep_the_values(have: np.ndarray, want: type) -> None:
    result = cast("x", have, np.dtype(want))
    assert result.dtype == want
    if have.dtype.kind != "U":
        np.testing.assert_allclose(result.astype(float), have.astype(float), rtol=1e-2)


@pytest.mark.parametrize(
    ("have", "want"),
    [
        (np.array([300]), np.uint8),
        (np.array([-1]), np.uint8),
        (np.array([0.5]), np.int64),
        (np.array([2]), np.bool_),
        (np.array([1e6]), np.float16),
        (np.array(["a"]), np.float32),
        (np.array([1j]), np.float32),
    ],
)
def test_casts_that_would_change_values_are_refused(have: np.ndarray, want: type) -> None:
    with pytest.raises(InputError, match=f"save it as {np.dtype(want)}"):
        cast("x", have, np.dtype(want))
