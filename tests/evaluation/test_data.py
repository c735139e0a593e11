"""Reading data sets: the accepted forms, and one line for each thing that can be wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxdup.errors import InputError, OnnxdupError, UsageError
from onnxdup.evaluation.data import Dataset, as_dataset, load_data
from onnxdup.evaluation.layout import Layout
from onnxdup.graph import parse

ONE = parse("g (float[N, 4] image) => (float[N, 4] out) { out = Relu (image) }")
TWO = parse(
    'g (float[N, 4] "a/b:0", float[2] state) => (float[N, 4] out) { out = Relu ("a/b:0") s = Neg (state) }'
)
X = np.arange(20, dtype=np.float64).reshape(5, 4)
Y = np.array([0, 1, 2, 3, 0])


@pytest.mark.parametrize("key", ["image", "x", "whatever"])
def test_npz_with_one_input(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "d.npz", **{key: X, "y": Y})
    data = load_data(tmp_path / "d.npz", ONE)
    np.testing.assert_array_equal(data.inputs["image"], X)
    np.testing.assert_array_equal(data.labels, Y)
    assert len(data) == 5 and data.source.endswith("d.npz")


def test_names_that_file_names_lack(tmp_path: Path) -> None:
    np.save(tmp_path / "a_b_0.npy", X)
    np.save(tmp_path / "state.npy", np.zeros(2))
    data = load_data(tmp_path, TWO)
    assert len(data) == 5 and data.labels is None
    assert data.layout("a/b:0") is Layout.BATCHED and data.layout("state") is Layout.CONSTANT


def test_one_npy_is_the_only_input(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    assert load_data(str(tmp_path / "x.npy"), ONE).inputs["image"].shape == (5, 4)


@pytest.mark.parametrize(
    "form", ["return X, Y", "return {'image': X, 'y': Y}", "return {'inputs': {'x': X}, 'y': Y}"]
)
def test_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    name = f"mydata_{abs(hash(form))}"
    (tmp_path / f"{name}.py").write_text(
        f"import numpy as np\nX = np.zeros((5, 4))\nY = np.arange(5)\ndef test(): {form}\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    data = load_data(f"{name}:test", ONE)
    assert len(data) == 5 and data.labels is not None and sys.path == before


def test_arrays_in_memory() -> None:
    assert len(as_dataset(X, ONE)) == 5
    assert as_dataset((X, Y), ONE).labels is not None
    assert as_dataset((X, None), ONE).labels is None
    assert as_dataset(Dataset({"image": X}, Y), ONE).source == "arrays"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.eye(5)[:, :3], [0, 1, 2, 0, 0]),
        (Y[:, None], Y),
        (Y.astype(np.float32), Y),
        (np.array(list("abcab")), None),
    ],
)
def test_forms_of_labels(labels: np.ndarray, expected: np.ndarray | None) -> None:
    found = as_dataset((X, labels), ONE).labels
    np.testing.assert_array_equal(found, labels if expected is None else expected)


def test_taking_samples_is_seeded_and_in_order() -> None:
    data = as_dataset({"a/b:0": X, "state": np.zeros(2), "y": Y}, TWO)
    some, same = data.take(3, seed=1), data.take(3, seed=1)
    np.testing.assert_array_equal(some.inputs["a/b:0"], same.inputs["a/b:0"])
    assert len(some) == 3 and np.all(np.diff(some.inputs["a/b:0"][:, 0]) > 0)
    assert some.inputs["state"].shape == (2,)
    assert some.labels is not None and np.array_equal(
        some.labels, Y[(some.inputs["a/b:0"][:, 0] / 4).astype(int)]
    )
    assert data.take(99) is data
    with pytest.raises(UsageError, match="at least one"):
        data.take(0)


def broken_zip(path: Path) -> Path:
    np.savez(path / "d.npz", x=X)
    content = (path / "d.npz").read_bytes()
    (path / "d.npz").write_bytes(content[: len(content) // 2])
    return path / "d.npz"


def corrupted_member(path: Path) -> Path:
    np.savez_compressed(path / "d.npz", x=np.random.default_rng(0).random((500, 4)))
    content = bytearray((path / "d.npz").read_bytes())
    content[3000:3100] = bytes(100)
    (path / "d.npz").write_bytes(content)
    return path / "d.npz"


def pickled(path: Path) -> Path:
    np.savez(path / "d.npz", x=np.array([{}, []], dtype=object))
    return path / "d.npz"


def wrong_names(path: Path) -> Path:
    np.savez(path / "d.npz", p=X, q=X)
    return path / "d.npz"


def empty_file(path: Path) -> Path:
    (path / "d.npz").write_bytes(b"")
    return path / "d.npz"


def text_named_npz(path: Path) -> Path:
    (path / "d.npz").write_text("version https://git-lfs.github.com/spec/v1")
    return path / "d.npz"


def empty_folder(path: Path) -> Path:
    return path


def no_samples(path: Path) -> Path:
    np.savez(path / "d.npz", x=np.zeros((0, 4)))
    return path / "d.npz"


def too_many_labels(path: Path) -> Path:
    np.savez(path / "d.npz", x=X, y=np.arange(6))
    return path / "d.npz"


def fractional_labels(path: Path) -> Path:
    np.savez(path / "d.npz", x=X, y=Y + 0.5)
    return path / "d.npz"


def strings(path: Path) -> Path:
    np.savez(path / "d.npz", x=np.full((5, 4), "a"))
    return path / "d.npz"


def text_file(path: Path) -> Path:
    (path / "d.csv").write_text("1,2")
    return path / "d.csv"


def missing(path: Path) -> Path:
    return path / "none.npz"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (missing, InputError, "no such data"),
        (empty_file, InputError, "cannot be read"),
        (broken_zip, InputError, "cannot be read"),
        (text_named_npz, InputError, "no .npz archive"),
        (corrupted_member, InputError, "cannot be read"),
        (pickled, InputError, "hold Python objects"),
        (wrong_names, InputError, "no array for the input 'image' among p, q"),
        (empty_folder, InputError, r"no \.npy file"),
        (no_samples, InputError, "no samples"),
        (too_many_labels, InputError, "5 samples in this array, 6 in the others"),
        (fractional_labels, InputError, "not whole numbers"),
        (strings, InputError, "save it as float32"),
        (text_file, UsageError, "unknown kind of data"),
    ],
)
def test_unusable_files(tmp_path: Path, make: Callable[[Path], Path], error: type, words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        load_data(make(tmp_path), ONE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("no.such.module:f", UsageError, "no such function"),
        ("math:no_such_function", UsageError, "no such function"),
        ("os:abort_me", UsageError, "no such function"),
        ("builtins:vars_of_nothing", UsageError, "no such function"),
        ("math:sqrt", InputError, "raised TypeError"),
        ("time:time", UsageError, "float is no data"),
    ],
)
def test_unusable_functions(spec: str, error: type[OnnxdupError], words: str) -> None:
    with pytest.raises(error, match=words):
        load_data(spec, ONE)
