"""The writer: all or nothing, whatever fails."""

from __future__ import annotations

import os
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graph_models import mlp, narrowed, random
from onnx import helper, numpy_helper

from onnxdup.errors import GateFailed, InputError, UsageError
from onnxdup.graph import Lazy, load, materialised, write


def snapshot(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def failing(original: Any, at: int) -> Any:
    """A function that works like the original, but fails at its call number `at`."""
    calls = iter(range(1, 1000))

    def function(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise OSError(28, "No space left on device")
        return original(*args, **kwargs)

    return function


@pytest.mark.parametrize("layout", ["never", "always"])
@pytest.mark.parametrize("there", [True, False], ids=["over an old one", "new"])
@pytest.mark.parametrize(("function", "at"), [("replace", 1), ("replace", 2), ("fsync", 1), ("fsync", 2)])
def test_a_failure_leaves_everything_as_it_was(
    function: str, at: int, there: bool, layout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "m.onnx"
    if there:
        write(mlp(), target, external=layout)
    before = snapshot(tmp_path)
    calls_needed = 2 if layout == "always" else 1
    if function == "replace" and at > calls_needed:
        pytest.skip("there is only one rename")
    monkeypatch.setattr(os, function, failing(getattr(os, function), at))
    small = narrowed(mlp(), list(range(50)))
    if layout == "never" and (function, at) == ("fsync", 2):
        with pytest.raises(UsageError):  # of the directory: the new model is complete
            write(small, target, external=layout)
        assert load(target).weights.info("W1").shape == (50, 8)
        return
    with pytest.raises(UsageError, match=r"m\.onnx: cannot be written: No space left on device"):
        write(small, target, external=layout)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("at", [1, 2])
def test_a_full_disk(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file, self.left = file, at

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: Any) -> None:
            self.left -= 1
            if not self.left:
                raise OSError(28, "No space left on device")
            self.file.write(data)

    def opened(path: Path, mode: str = "r", **options: Any) -> Any:
        file = original(path, mode, **options)
        return Full(file) if "x" in mode else file

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(UsageError, match="No space left"):
        write(mlp(), tmp_path / "m.onnx", external="always")
    assert snapshot(tmp_path) == {}


def test_verification_sees_a_complete_model_and_can_refuse(tmp_path: Path) -> None:
    seen = []

    def verify(path: Path) -> None:
        seen.append(path.name)
        onnx.checker.check_model(str(path), full_check=True)
        assert load(path).weights.info("W1").storage == "external"
        raise GateFailed("no")

    with pytest.raises(GateFailed, match="no"):
        write(mlp(), tmp_path / "m.onnx", external="always", verify=verify)
    assert seen == ["m.onnx"]
    assert snapshot(tmp_path) == {}


def test_an_error_while_computing_a_tensor(tmp_path: Path) -> None:
    def compute() -> np.ndarray:
        raise GateFailed("cannot compute")

    editor = mlp().edit()
    editor.set_tensor("W1", Lazy((64, 8), np.dtype(np.float32), compute))
    edited = editor.finish()
    with pytest.raises(GateFailed):
        write(edited, tmp_path / "m.onnx")
    assert snapshot(tmp_path) == {}


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        written = write(mlp(), tmp_path / "m.onnx", external="always")
    finally:
        os.umask(old)
    assert {stat.S_IMODE(p.stat().st_mode) for p in written} == {0o640}


def test_same_edits_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        write(narrowed(mlp(), [1, 5, 7]), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_overwriting_the_source(tmp_path: Path) -> None:
    source = write(mlp(), tmp_path / "m.onnx")[0]
    document = load(source)
    (tmp_path / "link.onnx").symlink_to(source)
    for target in (source, tmp_path / "link.onnx"):
        with pytest.raises(UsageError, match="is the input itself"):
            write(document, target)
        with pytest.raises(UsageError, match="is the input itself"):
            write(narrowed(document, [1]), target)
    assert write(document, source, in_place=True) == (source,)
    write(narrowed(document, [1, 2]), source, in_place=True)
    assert load(source).weights.info("W1").shape == (2, 8)
    assert document.weights.info("W1").shape == (64, 8) and document.weights.array("W1").shape == (64, 8)


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target, message in (
        (tmp_path, "is a directory"),
        (tmp_path / "no" / "m.onnx", "its directory does not exist"),
        (tmp_path / "pipe", "is not a regular file"),
        (Path(os.devnull), "is not a regular file"),
    ):
        with pytest.raises(UsageError, match=message):
            write(mlp(), target)


def test_a_source_that_changes_under_our_hands(tmp_path: Path) -> None:
    source = write(mlp(), tmp_path / "m.onnx")[0]
    document = load(source)
    with source.open("r+b") as file:
        file.write(b"\x08\x09")
    os.utime(source, ns=(1, 1))
    with pytest.raises(InputError, match="was changed on disk"):
        write(document, tmp_path / "o.onnx")
    with pytest.raises(InputError, match="was changed on disk"), materialised(document):
        pass


@pytest.mark.parametrize("layout", ["never", "always"])
def test_memory_stays_at_the_largest_tensor(layout: Any, tmp_path: Path) -> None:
    count, size = 12, 1 << 20
    tensors = [numpy_helper.from_array(random(size // 4, seed=i), f"w{i}") for i in range(count)]
    graph = helper.make_graph([], "g", [], [], tensors)
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    del tensors, graph
    document = load(path)
    editor = document.edit()
    for name in document.weights:
        editor.set_tensor(
            name, Lazy((size // 4,), np.float32, lambda name=name: 2 * document.weights.array(name))
        )
    tracemalloc.start()
    write(editor.finish(), tmp_path / "o.onnx", external=layout)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * size
    result = load(tmp_path / "o.onnx")
    assert all((result.weights.array(n) == 2 * document.weights.array(n)).all() for n in document.weights)


def test_two_gib_need_external_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxdup.graph.layout.PROTOBUF_LIMIT", 2000)
    edited = narrowed(mlp(), list(range(60)))
    assert len(write(edited, tmp_path / "m.onnx")) == 2
    with pytest.raises(UsageError, match="2 GiB"):
        write(edited, tmp_path / "n.onnx", external="never")
