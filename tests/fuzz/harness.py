"""One mutant through `report` and `merge`, and the promises that must hold whatever it is.

No exception but an `OnnxdupError` with one line (and no `Bug`), an answer in time and in bounded memory, no
file opened for writing outside the target folder and the temporary folder, inputs untouched, nothing left
behind by a failure.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutations import Mutant

from onnxdup import api
from onnxdup.errors import Bug, OnnxdupError
from onnxdup.graph import load, write
from onnxdup.reduce import merge
from onnxdup.reporting.build import build_report, combine
from onnxdup.reporting.formats import FORMATS

SECONDS = 60.0
"""More than onnxdup allows itself for a run that only asks for shapes."""
_WRITES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
}
_NOT_A_FILE = ("/dev/null", "/proc/self/")


class Broken(Exception):
    """A promise that did not hold."""


class Hang(BaseException):
    """Not done in time; no `Exception`, so that nothing handles it."""


@dataclass
class _Watch:
    """Folders that may be written to while a mutant is processed; None: not watching."""

    allowed: tuple[str, ...] | None = None
    strayed: str | None = None
    hooked: bool = False


_watch = _Watch()


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watch.allowed is None:
        return
    paths: list[Any] = []
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        if writes or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            paths = [path]
    elif event in _WRITES:
        paths = [a for a in arguments[:2] if isinstance(a, str | bytes | os.PathLike)]
        if event == "os.symlink":
            paths = paths[1:]
    elif event in ("socket.connect", "subprocess.Popen", "os.system", "os.exec"):
        _watch.strayed = f"{event} {arguments!r}"[:200]
    for path in paths:
        if isinstance(path, int):
            continue
        real = os.path.realpath(os.path.join(_base(event, arguments), os.fsdecode(path)))  # noqa: PTH118
        if not f"{real}{os.sep}".startswith((*_watch.allowed, *_NOT_A_FILE)):
            _watch.strayed = f"{event} {real}"


def _base(event: str, arguments: tuple[Any, ...]) -> str:
    """The folder that a relative path is relative to: dir_fd is the last argument of events that have one."""
    last = arguments[-1]
    if event in ("open", "os.truncate") or not isinstance(last, int) or last < 0:
        return "."
    return str(Path(f"/proc/self/fd/{last}").readlink())


@contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """`Broken` when anything outside `folders` was written, or the network or a program was called."""
    if not _watch.hooked:
        sys.addaudithook(_audit)
        _watch.hooked = True
    _watch.allowed, _watch.strayed = tuple(f"{os.path.realpath(f)}{os.sep}" for f in folders), None
    try:
        yield
    finally:
        _watch.allowed = None
    if _watch.strayed:
        raise Broken(f"went outside: {_watch.strayed}")


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """`Hang` after so many seconds."""

    def stop(*_: object) -> None:
        raise Hang(f"more than {seconds:g} s")

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def attempt(mutant: Mutant, folder: Path, *, verified: bool = False, seconds: float = SECONDS) -> str:
    """Puts a mutant through everything; returns what came of it in a word or two.

    `folder` must be empty. `verified`: `api.merge` with runs of both models by onnxruntime, best in a child
    process. Raises `Broken`, `Hang`, or whatever exception came through.
    """
    source, target, scratch = (folder / name for name in ("in", "out", "tmp"))
    for place in (source, target, scratch):
        place.mkdir()
    model = source / "m.onnx"
    model.write_bytes(mutant.model)
    for location, content in mutant.files.items():
        (source / location).write_bytes(content)
    tempfile.tempdir = str(scratch)
    before = snapshot(folder)
    tau = (1.0, 1.0, 0.9)[mutant.number % 3]
    with limited(seconds), watched(target, scratch):
        outcomes = [_outcome(lambda: _report(model))]
        if outcomes[0] != "unreadable":
            job = _verified_merge if verified else _merge
            outcomes.append(_outcome(lambda: job(model, target / "out.onnx", tau)))
    left = {k: v for k, v in snapshot(folder).items() if not k.startswith("out/")}
    if left != before:
        changed = sorted(k for k in left.keys() | before.keys() if left.get(k) != before.get(k))
        raise Broken(f"files changed or left behind: {changed[:5]}")
    if outcomes[-1] != "fine" and list(target.iterdir()):
        raise Broken("a failure left an output")
    return " / ".join(outcomes)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder, and the names of its folders."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b""
        for p in sorted(folder.rglob("*"))
        if p.name != "out" or p.is_file()
    }


def _outcome(job: Callable[[], None]) -> str:
    try:
        job()
    except Bug:
        raise
    except OnnxdupError as error:
        line = str(error)
        if not line or "\n" in line or "\r" in line or len(line) > 2000:
            raise Broken(f"message is not one line: {line[:300]!r}") from error
        if error.exit_code == 5:
            raise
        return "unreadable" if error.exit_code == 3 else type(error).__name__
    return "fine"


def _report(model: Path) -> None:
    found = build_report(load(model), (1.0, 0.9))
    for render in FORMATS.values():
        render(combine([found]))


def _merge(model: Path, target: Path, tau: float) -> None:
    document = load(model)
    reduction = merge(document, tau)
    write(reduction.document, target)
    if not reduction.changed and target.read_bytes() != model.read_bytes():
        raise Broken("nothing to merge, but the output is not the input")
    load(target)


def _verified_merge(model: Path, target: Path, tau: float) -> None:
    api.merge(model, tau=tau, output=target, samples=2, provider="cpu")


def trace_of(error: BaseException) -> str:
    """The exception with its innermost frames, to tell crashes apart."""
    frames = traceback.extract_tb(error.__traceback__)
    inner = [f for f in frames if "onnxdup" in f.filename][-3:]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(inner))
    text = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {text} @ {where}"
