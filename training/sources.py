"""Where the standard files of each data set lie in a data directory, and where they are downloaded from.

The checksums are those that the publishers give (Fashion-MNIST, CIFAR-10) and torchvision uses (MNIST).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training.errors import DataError
from training.readers import Pair, read_cifar_binary, read_cifar_python, read_idx_pair, read_npz

Splits = tuple[Pair, Pair]


@dataclass(frozen=True)
class Remote:
    """A file to download: address, checksum (``algorithm:hex``) and whether it is an archive to unpack."""

    url: str
    checksum: str
    archive: bool = False


_MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR_SHA256 = "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_IDX = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _idx_remotes(base: str, digests: tuple[str, ...]) -> tuple[Remote, ...]:
    return tuple(Remote(f"{base}{name}.gz", f"md5:{md5}") for name, md5 in zip(_IDX, digests, strict=True))


REMOTES: dict[str, tuple[Remote, ...]] = {
    "mnist": _idx_remotes(
        _MNIST_URL,
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion-mnist": _idx_remotes(
        _FASHION_URL,
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "cifar10": (Remote(_CIFAR_URL, _CIFAR_SHA256, archive=True),),
}
_FOLDERS = {
    "mnist": ("mnist", "MNIST/raw", "."),
    "fashion-mnist": ("fashion-mnist", "FashionMNIST/raw", "."),
    "cifar10": ("cifar10", "."),
}
_NPZ = {
    "mnist": ("mnist.npz",),
    "fashion-mnist": ("fashion-mnist.npz", "fashion_mnist.npz"),
    "cifar10": ("cifar10.npz",),
}


def read_local(name: str, data_dir: Path) -> Splits | None:
    """Training and test split from the files under `data_dir`, or None when they are not there."""
    for folder in (data_dir / part for part in _FOLDERS[name]):
        for npz in (folder / file for file in _NPZ[name]):
            if npz.is_file():
                return read_npz(npz)
        splits = _read_cifar(folder) if name == "cifar10" else _read_idx(folder)
        if splits:
            return splits
    return None


def download(name: str, data_dir: Path) -> None:
    """Download the files of `name` into ``data_dir/name``, each checked against its checksum.

    Raises `DataError`, one sentence, when they cannot be had.
    """
    try:
        import pooch
    except ModuleNotFoundError:
        raise DataError(
            _absent(name, data_dir, "pooch is not installed, so they cannot be downloaded")
        ) from None
    for remote in REMOTES[name]:
        unpack = pooch.Untar(extract_dir=".") if remote.archive else None
        try:
            with _connect_timeout(20):
                pooch.retrieve(
                    remote.url, remote.checksum, Path(remote.url).name, data_dir / name, processor=unpack
                )
        except (OSError, ValueError) as error:
            raise DataError(_absent(name, data_dir, _reason(error, remote))) from None


def _absent(name: str, data_dir: Path, why: str) -> str:
    files = (
        "cifar10.npz or cifar-10-batches-bin/" if name == "cifar10" else f"{_NPZ[name][0]} or {_IDX[0]}.gz, …"
    )
    return f"{name}: no data in {data_dir} and {why}; put {files} there, or name their folder with --data-dir"


def _reason(error: Exception, remote: Remote) -> str:
    host = remote.url.split("/")[2]
    if isinstance(error, ValueError) and "hash" in str(error).lower():
        return f"the file from {host} does not match its checksum"
    return f"{host} cannot be reached ({type(error).__name__})"


@contextlib.contextmanager
def _connect_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _read_idx(folder: Path) -> Splits | None:
    found = [_either(folder, name) for name in _IDX]
    if any(path is None for path in found):
        return None
    x_train, y_train, x_test, y_test = (path for path in found if path is not None)
    return read_idx_pair(x_train, y_train), read_idx_pair(x_test, y_test)


def _either(folder: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / f"{stem}{end}" for stem in (name, dotted) for end in (".gz", ""))
    return next((path for path in candidates if path.is_file()), None)


def _read_cifar(folder: Path) -> Splits | None:
    kinds: tuple[tuple[str, str, Callable[..., Pair]], ...] = (
        ("cifar-10-batches-bin", ".bin", read_cifar_binary),
        ("cifar-10-batches-py", "", read_cifar_python),
    )
    for sub, end, reader in kinds:
        for base in (folder / sub, folder):
            train = [base / f"data_batch_{k}{end}" for k in range(1, 6)]
            test = base / f"test_batch{end}"
            if all(path.is_file() for path in (*train, test)):
                return reader(train), reader([test])
    return None
