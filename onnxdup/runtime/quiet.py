"""Keep C and C++ libraries from writing to the standard streams.

onnxruntime, `preload_dlls()` and the CUDA loader print banners on stdout and coloured logs on stderr, below
Python: replacing `sys.stdout` does not catch them, so the file descriptors themselves are redirected. Where
`sys.stdout` is not descriptor 1 (pytest, notebooks) what Python code prints is caught as well.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LOCK = threading.RLock()  # the descriptors belong to the process, not to a thread


@dataclass
class Captured:
    """What was written while the streams were redirected; filled when the block ends."""

    text: str = ""


@contextlib.contextmanager
def captured_output() -> Iterator[Captured]:
    """Redirect file descriptors 1 and 2 into the returned `Captured` (colour codes removed)."""
    captured = Captured()
    with _LOCK, tempfile.TemporaryFile() as sink:
        _flush()
        printed = io.StringIO()
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(printed))
            stack.enter_context(contextlib.redirect_stderr(printed))
            for descriptor in (1, 2):
                _redirect(descriptor, sink.fileno(), stack)
            stack.callback(_flush)
            yield_error = None
            try:
                yield captured
            except BaseException as error:
                yield_error = error
        sink.seek(0)
        text = sink.read().decode("utf-8", "replace") + printed.getvalue()
        captured.text = _ANSI.sub("", text)
        if yield_error is not None:
            raise yield_error


def _redirect(descriptor: int, target: int, stack: contextlib.ExitStack) -> None:
    try:
        saved = os.dup(descriptor)
    except OSError:  # closed by the caller: nothing to protect
        return
    stack.callback(os.close, saved)
    stack.callback(os.dup2, saved, descriptor)
    os.dup2(target, descriptor)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
