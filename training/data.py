"""The data sets: images as bytes in one array, labels, and how many grey levels make 1.0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.config import DATASETS
from training.errors import ConfigError
from training.readers import Pair
from training.sources import Splits, download, read_local

DIGITS_TEST = 500
"""Held-out images of `digits` (of 1797)."""


@dataclass(frozen=True)
class ImageSet:
    """A labelled image data set.

    `x_train`, `x_test`: uint8 (n, channels, height, width); `y_train`, `y_test`: int64 (n,); `maximum`: the
    byte that is white, so raw inputs are x / maximum in [0, 1]; `classes`: number of labels.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    maximum: int = 255
    classes: int = 10

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.x_train.shape[1:]
        return channels, height, width


def load_dataset(name: str, data_dir: Path | None = None, *, limit: int = 0) -> ImageSet:
    """The data set `name`: from `data_dir`, else downloaded into it. `digits` comes with scikit-learn.

    `limit` keeps the first so many training images (0: all). Raises `DataError` when the data cannot be had.
    """
    if name not in DATASETS:
        raise ConfigError(f"--data is {name}, but must be one of {', '.join(DATASETS)}")
    train, test = _digits() if name == "digits" else _stored(name, data_dir or default_data_dir())
    stop = limit or None
    maximum = 16 if name == "digits" else 255
    return ImageSet(name, train[0][:stop], train[1][:stop], *test, maximum=maximum)


def default_data_dir() -> Path:
    """Where downloads go when no --data-dir is given: the user's cache directory."""
    return Path.home() / ".cache" / "onnxdup-training"


def _stored(name: str, data_dir: Path) -> Splits:
    splits = read_local(name, data_dir)
    if splits is None:
        download(name, data_dir)
        splits = read_local(name, data_dir)
    if splits is None:
        raise AssertionError(f"the downloaded files of {name} are not where they are read from")
    return splits


def _digits() -> Splits:
    """The 8×8 digits of scikit-learn, grey levels 0…16, in a fixed order; the last ones are held out."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = bunch.images.astype(np.uint8)[order, None]
    labels = bunch.target.astype(np.int64)[order]
    cut = len(order) - DIGITS_TEST
    train: Pair = (images[:cut], labels[:cut])
    return train, (images[cut:], labels[cut:])
