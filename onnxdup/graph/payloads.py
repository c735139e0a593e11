"""Tensor data kept outside the skeleton: bytes in a file or a buffer, or an array computed when needed."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from onnxdup.errors import Bug
from onnxdup.graph.tensors import Array, Buffer, cast, data_type_of, encode, frozen, packed_size
from onnxdup.graph.wire import RAW_DATA

_CHUNK = 1 << 22


class Payload(Protocol):
    """Packed little-endian bytes of one tensor."""

    @property
    def nbytes(self) -> int:
        """Length, known without evaluating anything."""

    @property
    def field(self) -> int:
        """TensorProto field that holds the bytes when the tensor is stored inline."""

    @property
    def storage(self) -> str:
        """'raw', 'typed', 'external' or 'new'."""

    def read(self) -> Buffer:
        """The bytes; computed anew at each call when they are not stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A slice of a memory-mapped file, or of bytes in memory."""

    buffer: bytes | mmap.mmap
    offset: int
    nbytes: int
    storage: str = "raw"
    field: int = RAW_DATA

    def read(self) -> Buffer:
        """A view: nothing is copied, the operating system pages it in."""
        return memoryview(self.buffer)[self.offset : self.offset + self.nbytes]

    def forget(self, start: int = 0, length: int | None = None) -> None:
        """Take bytes of a mapped file out of this process's memory; they can be read again at any time."""
        if isinstance(self.buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            first = (self.offset + start) // mmap.PAGESIZE * mmap.PAGESIZE
            last = self.offset + (self.nbytes if length is None else start + length)
            if last > first and not self.buffer.closed:
                self.buffer.madvise(mmap.MADV_DONTNEED, first, last - first)


@dataclass(frozen=True, slots=True)
class Lazy:
    """An array that is computed when it is read or written, so that only one is in memory at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    compute: Callable[[], Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(d) for d in self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))

    @classmethod
    def of(cls, array: Array | Lazy, name: str, dtype: np.dtype[np.generic] | None = None) -> Lazy:
        """Wrap an array; with `dtype`, in the element type that the file uses."""
        if isinstance(array, Lazy):
            inner, target = array, array.dtype if dtype is None else dtype
            return cls(inner.shape, target, lambda: cast(inner.evaluate(name), target, name))
        ready = frozen(np.array(array if dtype is None else cast(np.asarray(array), dtype, name), copy=True))
        return cls(ready.shape, ready.dtype, lambda: ready)

    def evaluate(self, name: str) -> Array:
        """The array, read-only. Bug when it has another shape than announced."""
        array = np.asarray(self.compute())
        if array.shape != self.shape:
            raise Bug(f"computed shape {array.shape}, announced {self.shape}", tensor=name)
        return frozen(cast(array, self.dtype, name).view())


@dataclass(frozen=True, slots=True)
class Fresh:
    """Content that an edit gave to a tensor."""

    name: str
    lazy: Lazy
    storage: str = "new"
    field: int = RAW_DATA

    @property
    def nbytes(self) -> int:
        """Packed size of the announced shape and type."""
        return packed_size(data_type_of(self.lazy.dtype), self.lazy.shape)

    def read(self) -> Buffer:
        """Evaluate and pack."""
        return encode(self.lazy.evaluate(self.name))


def chunks(payload: Payload) -> Iterator[Buffer]:
    """The bytes of a payload in pieces of a few MiB."""
    data = memoryview(payload.read())
    for at in range(0, len(data), _CHUNK):
        yield data[at : at + _CHUNK]
        if isinstance(payload, Stored):
            payload.forget(at, min(_CHUNK, len(data) - at))
