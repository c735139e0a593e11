"""Element types of ONNX tensors: how many bytes a shape needs, bytes to numpy and back.

Everything is checked before anything is allocated: a tensor whose `dims` do not fit its data is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.helper import np_dtype_to_tensor_dtype, tensor_dtype_to_field, tensor_dtype_to_np_dtype

from onnxdup.errors import InputError, UsageError

Array = NDArray[np.generic]
Buffer = bytes | memoryview

DATA_FIELDS = (
    "float_data",
    "int32_data",
    "string_data",
    "int64_data",
    "raw_data",
    "double_data",
    "uint64_data",
)
_BITS = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
_TYPE_NAMES: dict[int, str] = {int(v): str(k) for k, v in TensorProto.DataType.items()}
MAX_RANK = 32
_COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)


def type_name(data_type: int) -> str:
    """ONNX spelling of an element type, also for numbers this version of onnx does not know."""
    return _TYPE_NAMES.get(data_type, f"number {data_type}")


def dtype_of(data_type: int) -> np.dtype[np.generic] | None:
    """numpy (or ml_dtypes) dtype of an ONNX element type; None when undefined or unknown."""
    try:
        return np.dtype(tensor_dtype_to_np_dtype(data_type))
    except (KeyError, ValueError, TypeError):
        return None


def data_type_of(dtype: np.dtype[np.generic]) -> int:
    """ONNX element type of a numpy dtype. UsageError when ONNX has none."""
    try:
        return int(np_dtype_to_tensor_dtype(dtype.newbyteorder("=")))
    except (KeyError, ValueError, TypeError):
        raise UsageError(f"ONNX has no element type for numpy dtype {dtype}") from None


def bits(data_type: int) -> int:
    """Bits per element in packed storage."""
    dtype = dtype_of(data_type)
    return _BITS.get(type_name(data_type), 8 * dtype.itemsize if dtype is not None else 0)


def packed_size(data_type: int, shape: Iterable[int]) -> int:
    """Bytes that `raw_data` or external data of this type and shape must have."""
    return -(-math.prod(shape) * bits(data_type) // 8)


def type_and_shape(
    tensor: TensorProto, dims: Iterable[int] | None = None
) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    """dtype and shape of a tensor. InputError for an unknown type or a negative dimension."""
    shape = tuple(tensor.dims if dims is None else dims)
    dtype = dtype_of(tensor.data_type)
    if dtype is None:
        raise InputError(
            f"element type {type_name(tensor.data_type)} is unknown to onnx {onnx.__version__}",
            tensor=tensor.name or "(unnamed)",
            remedy="update onnx, or repair the file",
        )
    if len(shape) > MAX_RANK:
        raise InputError(f"has {len(shape)} dimensions", tensor=tensor.name or "(unnamed)")
    if any(d < 0 for d in shape):
        raise InputError(f"has a negative dimension in {shape}", tensor=tensor.name or "(unnamed)")
    return dtype, shape


def check_size(name: str, data_type: int, shape: tuple[int, ...], found: int) -> None:
    """InputError unless `found` bytes are what type and shape need."""
    needed = packed_size(data_type, shape)
    if found != needed:
        raise InputError(
            f"shape {list(shape)} of {type_name(data_type)} needs {needed} bytes, the file holds {found}",
            tensor=name,
            remedy="the file is damaged: export it again",
        )


def check_stored(tensor: TensorProto) -> None:
    """InputError unless the fields inside `tensor` hold exactly what its shape needs."""
    _, shape = type_and_shape(tensor)
    if tensor.HasField("segment"):
        raise InputError("is stored in segments, which no runtime reads", tensor=tensor.name)
    if tensor.HasField("raw_data"):
        return check_size(tensor.name, tensor.data_type, shape, len(tensor.raw_data))
    found = len(getattr(tensor, tensor_dtype_to_field(tensor.data_type)))
    needed = _entries(tensor.data_type, shape)
    if found != needed:
        raise InputError(
            f"shape {list(shape)} needs {needed} entries, the file holds {found}",
            tensor=tensor.name,
            remedy="the file is damaged: export it again",
        )
    return None


def _entries(data_type: int, shape: tuple[int, ...]) -> int:
    """Entries that a typed field (`float_data`, `int32_data`, ...) needs; 2- and 4-bit types pack bytes."""
    if data_type in _COMPLEX:
        return 2 * math.prod(shape)
    return packed_size(data_type, shape) if bits(data_type) in (2, 4) else math.prod(shape)


def stored_array(tensor: TensorProto) -> Array:
    """Content of a tensor that carries its own data, after `check_stored`; read-only."""
    check_stored(tensor)
    if tensor.HasField("raw_data"):
        return decode(tensor.raw_data, tensor.data_type, tuple(tensor.dims))
    try:
        return frozen(numpy_helper.to_array(tensor))
    except UnicodeDecodeError:
        return frozen(np.array(list(tensor.string_data), dtype=object).reshape(tuple(tensor.dims)))


def decode(data: Buffer, data_type: int, shape: tuple[int, ...]) -> Array:
    """Packed little-endian bytes as a read-only array: a view where elements are whole bytes."""
    dtype = dtype_of(data_type)
    if dtype is None:
        raise InputError(f"element type {type_name(data_type)} is unknown to onnx {onnx.__version__}")
    if bits(data_type) == 8 * dtype.itemsize:
        return frozen(np.frombuffer(data, dtype=dtype).reshape(shape))
    packed = TensorProto(data_type=data_type, dims=shape, raw_data=bytes(data))
    return frozen(numpy_helper.to_array(packed))


def encode(array: Array) -> Buffer:
    """Packed little-endian bytes of an array, without a copy where it already is contiguous."""
    if bits(data_type_of(array.dtype)) != 8 * array.dtype.itemsize:
        return bytes(numpy_helper.from_array(array).raw_data)
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data if little.size else b""


def cast(array: Array, dtype: np.dtype[np.generic], name: str) -> Array:
    """`array` in the element type that the file uses. UsageError where a fraction would be cut off."""
    if array.dtype == dtype:
        return array
    if dtype.kind in "iub" and array.dtype.kind not in "iub":
        raise UsageError(f"cannot store {array.dtype} in a tensor of {dtype}", tensor=name)
    return array.astype(dtype)


def frozen(array: Array) -> Array:
    """The same array, not writeable."""
    array.setflags(write=False)
    return array
