"""Killed at any moment, a writer leaves the old model or the new one, whole.

A forked child kills itself just before its n-th change to the file system, for every n.
"""

from __future__ import annotations

import os
import random as chance
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graph_models import mlp, narrowed

from onnxdup.graph import load, write

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_before(change: int, job: Callable[[], object]) -> bool:
    """Runs `job` in a child that dies just before its change of that number; False if it got to the end."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in CHANGES or (event == "open" and arguments[2] & WRITING):
            seen += 1
            if seen == change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        job()
    except BaseException:
        os._exit(1)
    os._exit(0)


def content(path: Path) -> dict[str, np.ndarray]:
    weights = load(path).weights
    return {name: np.array(weights.array(name)) for name in weights}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def scene(case: str, folder: Path) -> tuple[Path, Callable[[], object]]:
    """A target with an old model, and the job that replaces it."""
    target, source = folder / "m.onnx", folder.parent / "source" / "s.onnx"
    source.parent.mkdir(exist_ok=True)
    external: Any = "never" if case == "inline" else "always"
    write(mlp(), target, external=external)
    if case == "in place":
        document = narrowed(load(target), list(range(50)))
        return target, lambda: write(document, target, in_place=True)
    if case == "copied":
        write(narrowed(mlp(), list(range(50))), source, external="always")
        shutil.move(source.parent / "s.onnx.data", source.parent / "m.onnx.data")
        model = onnx.load(str(source), load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = "m.onnx.data" if entry.key == "location" else entry.value
        source.write_bytes(model.SerializeToString())
        document = load(source)
        return target, lambda: write(document, target)
    document = narrowed(mlp(), list(range(50)))
    return target, lambda: write(document, target, external=external)


@pytest.mark.parametrize("case", ["inline", "external", "in place", "copied"])
def test_the_old_model_or_the_new_one(case: str, tmp_path: Path) -> None:
    outcomes = []
    for change in range(1, 200):
        folder = tmp_path / str(change) / "out"
        folder.mkdir(parents=True)
        target, job = scene(case, folder)
        old = content(target)
        died = killed_before(change, job)
        found = content(target)
        outcomes.append("old" if same(found, old) else "new")
        assert found["W1"].shape == ((64, 8) if outcomes[-1] == "old" else (50, 8))
        assert [p.name for p in folder.glob("*.onnx")] == ["m.onnx"], "nothing else looks like an output"
        if not died:
            break
        job()
        assert content(target)["W1"].shape == (50, 8), "a later run is not disturbed by what was left"
    assert outcomes[0] == "old"
    assert outcomes[-1] == "new"
    assert outcomes == sorted(outcomes, reverse=True), "once new, always new"
    assert len(outcomes) > 4
    assert {p.name for p in folder.iterdir() if p.name.startswith(".")} == set(), "temporary files stayed"
    used = {p.name for p in load(target)._files.paths.values()}
    assert {p.name for p in folder.iterdir()} == {"m.onnx", *used}, "data files without a model stayed"


@pytest.mark.parametrize("case", ["inline", "external", "in place", "copied"])
def test_a_loss_of_power_finds_names_in_the_order_of_their_use(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be forgotten is never needed: content, then names of data, then the model, then clean up."""
    folder = tmp_path / "out"
    folder.mkdir()
    target, job = scene(case, folder)
    events: list[tuple[str, str]] = []
    sync, rename, unlink = os.fsync, Path.replace, Path.unlink

    def synced(descriptor: int) -> None:
        events.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def renamed(self: Path, to: Path) -> Path:
        events.append(("name", to.name))
        return rename(self, to)

    def unlinked(self: Path, missing_ok: bool = False) -> None:
        events.append(("drop", self.name))
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(Path, "unlink", unlinked)
    job()
    named = [name for what, name in events if what == "name"]
    assert named[-1] == target.name
    for name in named:
        assert events.index(("sync", name)) < events.index(("name", name)), "content before name"
    model = events.index(("name", target.name))
    if len(named) > 1:
        data = max(events.index(("name", name)) for name in named[:-1])
        assert ("sync", folder.name) in events[data:model], "data names before the model's"
    assert ("sync", folder.name) in events[model:]
    dropped = [k for k, (what, _) in enumerate(events) if what == "drop"]
    last = max(k for k, event in enumerate(events) if event == ("sync", folder.name))
    assert all(k > last for k in dropped), "the old data go when the new model is safe"


@pytest.mark.slow
def test_merge_killed_at_random(tmp_path: Path) -> None:
    """The command itself, killed from outside."""
    source, target = tmp_path / "source.onnx", tmp_path / "out" / "m.onnx"
    target.parent.mkdir()
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((64, 8)).astype(np.float32)
    rows[5] = rows[1]
    editor = mlp().edit()
    bias = np.array(mlp().weights.array("b1"))
    bias[5] = bias[1]
    editor.set_tensor("W1", rows)
    editor.set_tensor("b1", bias)
    write(editor.finish(), source, external="always")
    write(mlp(), target, external="always")
    old = content(target)
    command = [sys.executable, "-m", "onnxdup", "merge", str(source), "-o", str(target), "--provider", "cpu"]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds, new = time.monotonic() - began, content(target)
    assert new["W1"].shape == (63, 8)
    for seed in range(6):
        write(mlp(), target, external="always")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(seconds * (0.6 + 0.5 * chance.Random(seed).random()))
            process.kill()
        found = content(target)
        assert same(found, old) or same(found, new)
        assert [p.name for p in target.parent.glob("*.onnx")] == ["m.onnx"]
