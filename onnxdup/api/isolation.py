"""Running a job on untrusted models in a process of its own, with limits of time and memory.

The child (`onnxdup.api.isolated`) gets its arguments and gives its answer as JSON in a temporary folder:
nothing that a model could have taken over is unpickled here. A child that crashes, hangs or grows beyond its
limits ends as `CannotVerify`; errors that the job raised are raised again as they were.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdup import errors
from onnxdup.errors import Bug, CannotVerify, OnnxdupError

REQUEST, RESPONSE, LOG = "request.json", "response.json", "log.txt"
_STATM = "/proc/{}/statm"
_POLL_S = 0.02
_CLASSES: Mapping[str, type[OnnxdupError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, OnnxdupError)
}


@dataclass(frozen=True)
class Isolation:
    """Limits of a child process; None: no limit. `bytes` is its resident memory (address space where the
    system does not tell).
    """

    seconds: float | None = 1800.0
    bytes: int | None = None


def default_memory() -> int | None:
    """Three quarters of the memory of this machine or container; None where it is not known."""
    sizes = []
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):  # "max" means no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return 3 * min(sizes) // 4 if sizes else None


def run_isolated(job: str, arguments: Mapping[str, Any], limits: Isolation, *, what: str) -> Any:
    """The JSON answer of `job` (see `isolated.JOBS`); `what` names the model in messages.

    Raises what the job raised, or `CannotVerify` where the child did not live to answer.
    """
    with tempfile.TemporaryDirectory(prefix="onnxdup-") as name:
        folder = Path(name)
        child_limit = None if _resident(os.getpid()) is not None else limits.bytes
        request = {"job": job, "arguments": arguments, "address_space": child_limit}
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        status = _supervise(folder, limits, what)
        return _answer(folder, status, what)


def _supervise(folder: Path, limits: Isolation, what: str) -> int:
    """Starts the child, watches it, and leaves nothing of it behind; returns its exit status."""
    with (folder / LOG).open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "onnxdup.api.isolated", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
    try:
        return _watch(child, limits, what)
    finally:
        _end(child)


def run_again(arguments: Sequence[str], limits: Isolation, extra: Mapping[str, str], *, what: str) -> int:
    """Runs `onnxdup ARGUMENTS` in a child that shares our streams; its exit code.

    Raises `CannotVerify` where the child crashes or exceeds its limits.
    """
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "onnxdup", *arguments],
        env={**_environment(), **extra},
        start_new_session=True,
    )
    try:
        status = _watch(child, limits, what)
    finally:
        _end(child)
    if status < 0:
        raise _died(status, "", what)
    return status


def _watch(child: subprocess.Popen[bytes], limits: Isolation, what: str) -> int:
    end = None if limits.seconds is None else time.monotonic() + limits.seconds
    while True:
        try:
            return child.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            pass
        if end is not None and time.monotonic() > end:
            raise CannotVerify(
                f"not done within the time limit of {limits.seconds:g} s",
                file=what,
                remedy="raise --time-limit or draw fewer --samples",
            )
        if limits.bytes is not None and (_resident(child.pid) or 0) > limits.bytes:
            raise _too_large(what)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the child's own process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()


def _resident(pid: int) -> int | None:
    """Resident memory of a process in bytes, None where the system does not tell."""
    try:
        pages = Path(_STATM.format(pid)).read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _environment() -> dict[str, str]:
    """Ours, with this very onnxdup first on the path."""
    here = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, *([inherited] if inherited else [])])}


def _answer(folder: Path, status: int, what: str) -> Any:
    try:
        response = json.loads((folder / RESPONSE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _died(status, (folder / LOG).read_text(encoding="utf-8", errors="replace"), what) from None
    error = response.get("error")
    if error is None:
        return response["value"]
    if error["class"] == "MemoryError":
        raise _too_large(what)
    raise _again(error)


def _again(error: Mapping[str, Any]) -> OnnxdupError:
    kind = _CLASSES.get(error["class"], Bug)
    places = {k: error.get(k) for k in ("file", "node", "tensor", "remedy")}
    return kind(str(error["what"]), **places)


def _died(status: int, log: str, what: str) -> CannotVerify:
    last = next((line.strip()[:200] for line in reversed(log.splitlines()) if line.strip()), "")
    if status < 0:
        cause = f"was ended by {_signal(-status)}"
    else:
        cause = f"ended with status {status}" + (f" ({last})" if last else "")
    return CannotVerify(
        f"the process that ran it {cause}",
        file=what,
        remedy="the model crashes onnxruntime, or memory ran out: try --no-isolate on a model that you trust",
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _too_large(what: str) -> CannotVerify:
    return CannotVerify(
        "needs more than the memory limit", file=what, remedy="raise --memory-limit or draw fewer --samples"
    )
