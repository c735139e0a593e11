"""Readers of the data sets' standard files, on tiny files written here."""

from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np
import pytest

from training.errors import DataError
from training.readers import read_cifar_binary, read_cifar_python, read_idx, read_idx_pair, read_npz


def bytes_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_idx(path, array, *, zipped=True):
    raw = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_holds_the_array(tmp_path, zipped):
    images, labels = bytes_of((7, 5, 4)), bytes_of(7) % 10
    pair = read_idx_pair(
        write_idx(tmp_path / "i", images, zipped=zipped), write_idx(tmp_path / "l", labels, zipped=zipped)
    )
    np.testing.assert_array_equal(pair[0], images[:, None])
    np.testing.assert_array_equal(pair[1], labels)
    assert pair[1].dtype == np.int64


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: b"PK" + raw, lambda raw: raw[:6], lambda raw: b""]
)
def test_damaged_idx_is_refused(tmp_path, damage):
    path = write_idx(tmp_path / "i", bytes_of((3, 2, 2)), zipped=False)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=str(path)):
        read_idx(path)


def test_truncated_gzip_is_refused(tmp_path):
    path = write_idx(tmp_path / "i.gz", bytes_of((3, 2, 2)))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(path)


def test_cifar_binary_and_python_batches_hold_the_same(tmp_path):
    images, labels = bytes_of((6, 3072)), bytes_of(6, 1) % 10
    binary, python = [], []
    for k in range(2):
        rows, tags = images[3 * k : 3 * k + 3], labels[3 * k : 3 * k + 3]
        binary.append(tmp_path / f"data_batch_{k}.bin")
        binary[-1].write_bytes(np.hstack([tags[:, None], rows]).tobytes())
        python.append(tmp_path / f"data_batch_{k}")
        python[-1].write_bytes(pickle.dumps({b"data": rows, b"labels": [int(t) for t in tags]}, protocol=2))
    for x, y in (read_cifar_binary(binary), read_cifar_python(python)):
        np.testing.assert_array_equal(x, images.reshape(6, 3, 32, 32))
        np.testing.assert_array_equal(y, labels)


def test_pickle_with_code_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": Bomb(), b"labels": []}))
    with pytest.raises(DataError, match="not a CIFAR-10 python batch"):
        read_cifar_python([path])
    assert not (tmp_path / "ran").exists()


def test_cifar_binary_of_the_wrong_length_is_refused(tmp_path):
    (tmp_path / "b.bin").write_bytes(bytes(3072))
    with pytest.raises(DataError, match="no whole number of CIFAR-10 records"):
        read_cifar_binary([tmp_path / "b.bin"])


def test_npz_channels_last_becomes_channels_first(tmp_path):
    arrays = {
        "x_train": bytes_of((4, 5, 6, 3)),
        "y_train": np.arange(4),
        "x_test": bytes_of((2, 5, 6)),
        "y_test": [1, 2],
    }
    np.savez(tmp_path / "d.npz", **arrays)
    train, test = read_npz(tmp_path / "d.npz")
    np.testing.assert_array_equal(train[0], arrays["x_train"].transpose(0, 3, 1, 2))
    assert test[0].shape == (2, 1, 5, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, "has no array y_test"),
        ({"x_train": np.zeros((4, 5, 5), np.float32)}, "must be uint8"),
        ({"y_train": np.arange(3)}, "4 images but 3 labels"),
    ],
)
def test_wrong_npz_is_refused(tmp_path, change, message):
    arrays = {
        "x_train": bytes_of((4, 5, 5)),
        "y_train": np.arange(4),
        "x_test": bytes_of((1, 5, 5)),
        "y_test": [0],
    }
    np.savez(tmp_path / "d.npz", **{k: v for k, v in (arrays | change).items() if v is not None})
    with pytest.raises(DataError, match=message):
        read_npz(tmp_path / "d.npz")


def test_npz_that_is_none_is_refused(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        read_npz(tmp_path / "d.npz")
