"""Readers of the standard files of the image data sets: IDX, CIFAR-10 (binary and python batches) and .npz.

Each returns images as uint8 (n, channels, height, width) and labels as int64 (n,), or raises `DataError`.
"""

from __future__ import annotations

import gzip
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import DataError

Pair = tuple[np.ndarray, np.ndarray]

_CIFAR_PIXELS = 3 * 32 * 32
_PICKLE_GLOBALS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, gzipped or not (two zeros, type 8, rank, sizes, data)."""
    raw = _bytes(path)
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise DataError(f"{path}: not an IDX file of unsigned bytes")
    rank = raw[3]
    head = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", raw[4:head]) if len(raw) >= head else ()
    if len(raw) != head + int(np.prod(shape)) or not shape:
        raise DataError(f"{path}: truncated IDX file: header says {shape}, {len(raw)} bytes are there")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape)


def read_idx_pair(images: Path, labels: Path) -> Pair:
    """One split of MNIST or Fashion-MNIST from its image and label files."""
    return as_pair(read_idx(images), read_idx(labels), images)


def read_cifar_binary(paths: Sequence[Path]) -> Pair:
    """CIFAR-10's binary batches in the order given: per image a label byte and 3 × 1024 pixel bytes."""
    rows = [_cifar_rows(path) for path in paths]
    data = np.concatenate(rows)
    return as_pair(data[:, 1:].reshape(-1, 3, 32, 32), data[:, 0], paths[0])


def read_cifar_python(paths: Sequence[Path]) -> Pair:
    """CIFAR-10's pickled batches, in the order given. Only numpy arrays are unpickled, no other object."""
    batches = [_unpickle(path) for path in paths]
    images = np.concatenate([batch[0] for batch in batches])
    return as_pair(images.reshape(-1, 3, 32, 32), np.concatenate([batch[1] for batch in batches]), paths[0])


def read_npz(path: Path) -> tuple[Pair, Pair]:
    """Both splits of an .npz with x_train, y_train, x_test, y_test (uint8, channels last or absent)."""
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise DataError(f"{path}: has no array {', '.join(missing)}; needs {', '.join(names)}")
            x_train, y_train, x_test, y_test = (archive[name] for name in names)
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as .npz: {error}") from None
    return as_pair(x_train, y_train, path), as_pair(x_test, y_test, path)


def as_pair(images: np.ndarray, labels: np.ndarray, path: Path) -> Pair:
    """Images and labels in the one layout used here; anything but labelled 8-bit images is a `DataError`."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(f"{path}: images must be uint8 of rank 3 or 4, found {images.dtype} {images.shape}")
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    labels = np.asarray(labels).reshape(-1).astype(np.int64)
    if len(labels) != len(images) or not len(images):
        raise DataError(f"{path}: {len(images)} images but {len(labels)} labels")
    return np.ascontiguousarray(images), labels


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def _cifar_rows(path: Path) -> np.ndarray:
    raw = _bytes(path)
    if not raw or len(raw) % (1 + _CIFAR_PIXELS):
        raise DataError(
            f"{path}: {len(raw)} bytes are no whole number of CIFAR-10 records of {1 + _CIFAR_PIXELS}"
        )
    return np.frombuffer(raw, np.uint8).reshape(-1, 1 + _CIFAR_PIXELS)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds numpy arrays and nothing else (a pickle can otherwise run any code)."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PICKLE_GLOBALS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data file")
        return super().find_class(module, name)


def _unpickle(path: Path) -> Pair:
    try:
        batch = _ArraysOnly(BytesIO(_bytes(path)), encoding="bytes").load()
        images, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    except (
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        ImportError,
        AttributeError,
    ) as error:
        raise DataError(f"{path}: not a CIFAR-10 python batch: {error}") from None
    if images.ndim != 2 or images.shape[1] != _CIFAR_PIXELS:
        raise DataError(f"{path}: images of shape {images.shape}, expected (n, {_CIFAR_PIXELS})")
    return images, labels
