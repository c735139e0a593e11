"""Inputs and outputs of a session: onnxruntime's type strings as numpy dtypes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_NUMPY_NAMES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "string": "object",
    "bool": "bool",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "complex64": "complex64",
    "complex128": "complex128",
}
_ML_NAMES = {
    "bfloat16": "bfloat16",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
}
ONNX_CODES = {
    "bfloat16": 16,
    "float8_e4m3fn": 17,
    "float8_e4m3fnuz": 18,
    "float8_e5m2": 19,
    "float8_e5m2fnuz": 20,
}
"""Types that numpy lacks: onnxruntime takes and gives them as raw bytes with an ONNX type code."""


@dataclass(frozen=True)
class IoSpec:
    """An input or output of a session.

    `dtype` is None for what numpy cannot hold (sequences, maps, 4-bit types); `shape` has None or a name
    where a dimension is free, and is None where the rank is unknown or the value is no tensor.
    """

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str | None, ...] | None
    kind: str = "tensor"


def parse_type(text: str) -> tuple[str, np.dtype[Any] | None]:
    """onnxruntime's type string -> (kind, dtype): ``tensor(float)`` -> ('tensor', float32)."""
    match = re.fullmatch(r"tensor\((\w+)\)", text)
    if match:
        return "tensor", _dtype(match.group(1))
    heads = {"seq": "sequence", "map": "map", "optional": "optional", "sparse_tensor": "sparse"}
    return heads.get(text.split("(", 1)[0], "opaque"), None


def parse_shape(shape: Sequence[object] | None) -> tuple[int | str | None, ...] | None:
    """onnxruntime's shape with negative sizes (seen in the wild) read as free."""
    if shape is None:
        return None
    return tuple(d if isinstance(d, str) or (isinstance(d, int) and d >= 0) else None for d in shape)


def _dtype(name: str) -> np.dtype[Any] | None:
    if name in _NUMPY_NAMES:
        return np.dtype(_NUMPY_NAMES[name])
    if name in _ML_NAMES:
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_NAMES[name]))
        return dtype
    return None
