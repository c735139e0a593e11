"""Finding data sets in a folder, the downloads, scaling and augmentation."""

from __future__ import annotations

import numpy as np
import pooch
import pytest
import torch

from training.augment import crop_and_flip
from training.data import ImageSet, load_dataset
from training.errors import DataError
from training.scaling import Scaling
from training.sources import REMOTES


def arrays(n_train=5, n_test=2, shape=(28, 28), seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda n: rng.integers(0, 256, (n, *shape), dtype=np.uint8)  # noqa: E731
    return {
        "x_train": draw(n_train),
        "y_train": np.arange(n_train),
        "x_test": draw(n_test),
        "y_test": np.arange(n_test),
    }


def test_digits_need_no_files_and_hold_out_500():
    data = load_dataset("digits")
    assert (len(data.x_train), len(data.x_test), data.shape, data.maximum) == (1297, 500, (1, 8, 8), 16)
    assert data.x_train.max() == 16
    seen = {image.tobytes() for image in data.x_train}
    assert sum(image.tobytes() in seen for image in data.x_test) == 0


@pytest.mark.parametrize("place", ["mnist.npz", "mnist/mnist.npz"])
def test_npz_is_found(tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    np.savez(tmp_path / place, **arrays())
    assert load_dataset("mnist", tmp_path, limit=3).x_train.shape == (3, 1, 28, 28)


@pytest.mark.parametrize("folder", ["fashion-mnist", "FashionMNIST/raw", "."])
def test_idx_files_are_found(tmp_path, folder):
    from test_training_readers import write_idx

    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    made = arrays()
    for stem, key in (("train", "train"), ("t10k", "test")):
        write_idx(tmp_path / folder / f"{stem}-images-idx3-ubyte.gz", made[f"x_{key}"])
        write_idx(tmp_path / folder / f"{stem}-labels-idx1-ubyte.gz", made[f"y_{key}"].astype(np.uint8))
    data = load_dataset("fashion-mnist", tmp_path)
    np.testing.assert_array_equal(data.x_test[:, 0], made["x_test"])


@pytest.mark.parametrize("folder", ["cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_cifar_batches_are_found(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    for k, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        (tmp_path / folder / f"{name}.bin").write_bytes(bytes([k]) * 3073)
    data = load_dataset("cifar10", tmp_path)
    assert data.y_train.tolist() == [0, 1, 2, 3, 4]
    assert data.y_test.tolist() == [5]


@pytest.mark.parametrize("name", sorted(REMOTES))
def test_offline_and_absent_is_one_clear_sentence(tmp_path, monkeypatch, name):
    def refuse(*_args, **_options):
        raise ConnectionError("no route to host\nand a long story")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(DataError) as caught:
        load_dataset(name, tmp_path)
    text = str(caught.value)
    assert caught.value.exit_code == 3
    assert "\n" not in text
    assert all(part in text for part in (name, str(tmp_path), "cannot be reached", "--data-dir"))


def test_wrong_checksum_says_so(tmp_path, monkeypatch):
    def wrong(*_args, **_options):
        raise ValueError("MD5 hash of downloaded file (x) does not match the known hash")

    monkeypatch.setattr(pooch, "retrieve", wrong)
    with pytest.raises(DataError, match="does not match its checksum"):
        load_dataset("mnist", tmp_path)


def test_downloaded_files_are_checked_and_read(tmp_path, monkeypatch):
    from test_training_readers import write_idx

    asked = []

    def fetch(url, known_hash, fname, path, processor=None):
        asked.append((url, known_hash))
        path.mkdir(exist_ok=True)
        made = arrays()
        split = "train" if "train" in fname else "test"
        write_idx(
            path / fname, made[f"x_{split}"] if "images" in fname else made[f"y_{split}"].astype(np.uint8)
        )

    monkeypatch.setattr(pooch, "retrieve", fetch)
    assert len(load_dataset("mnist", tmp_path).y_train) == 5
    assert asked == [(remote.url, remote.checksum) for remote in REMOTES["mnist"]]


def test_scaling_has_the_moments_it_promises():
    data = ImageSet(
        "x", *(arrays(50, shape=(3, 6, 6))[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    )
    images = torch.from_numpy(data.x_train)
    raw, centred, standard = (Scaling.fit(m, data).apply(images) for m in ("raw", "centred", "standardised"))
    assert torch.equal(raw, images.float() / 255)
    assert torch.allclose(Scaling.fit("symmetric", data).apply(images), raw * 2 - 1)
    assert centred.mean((0, 2, 3)).abs().max() < 1e-6
    assert torch.allclose(centred.std((0, 2, 3)), raw.std((0, 2, 3)))
    assert (standard.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert raw.dtype == standard.dtype == torch.float32


def test_crop_and_flip_cuts_windows_of_the_padded_image():
    images = torch.arange(1, 1 + 40 * 2 * 6 * 5).reshape(40, 2, 6, 5).float()
    got = crop_and_flip(images, torch.Generator().manual_seed(1), padding=2)
    padded = torch.nn.functional.pad(images, (2,) * 4)
    flips = 0
    for k in range(len(images)):
        windows = [padded[k, :, dy : dy + 6, dx : dx + 5] for dy in range(5) for dx in range(5)]
        straight = any(torch.equal(got[k], w) for w in windows)
        mirrored = any(torch.equal(got[k], w.flip(2)) for w in windows)
        assert straight or mirrored
        flips += mirrored and not straight
    assert 8 <= flips <= 32
