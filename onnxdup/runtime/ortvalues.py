"""Tensors of types that numpy lacks (bfloat16, float8), to and from onnxruntime's values."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from onnxdup.errors import CannotVerify
from onnxdup.runtime.iotypes import ONNX_CODES, parse_type


def is_numpy_type(dtype: np.dtype) -> bool:
    """Whether onnxruntime's bindings convert the type themselves."""
    return dtype.name not in ONNX_CODES


def to_ort_value(make: Any, array: np.ndarray, device: str = "cpu") -> Any:
    """`array` as an OrtValue on `device`; `make` is onnxruntime's OrtValue class."""
    array = np.asarray(array, order="C")
    if is_numpy_type(array.dtype):
        return make.ortvalue_from_numpy(array, device, 0)
    raw = array.view(np.dtype(f"uint{8 * array.dtype.itemsize}"))
    return make.ortvalue_from_numpy_with_onnx_type(raw, ONNX_CODES[array.dtype.name])


def from_ort_value(value: Any) -> Any:
    """The array (copied), list or dict in an OrtValue that lies on the CPU."""
    kind, dtype = parse_type(value.data_type())
    if kind != "tensor" or dtype is None or is_numpy_type(dtype):
        return value.numpy()
    if value.device_name() != "cpu":
        raise CannotVerify(f"a {dtype.name} output lies on {value.device_name()}, where it cannot be read")
    shape = tuple(value.shape())
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = ctypes.string_at(value.data_ptr(), nbytes) if nbytes else b""
    return np.frombuffer(bytearray(raw), dtype).reshape(shape)
