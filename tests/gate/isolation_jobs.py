"""Jobs that misbehave in a child of `isolation`."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np


def hang() -> Any:
    time.sleep(600)


def crash() -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)


def vanish() -> Any:
    os.write(2, b"the last words\n")
    os._exit(7)


def grow() -> Any:
    held = []
    while True:
        held.append(np.ones(2**22))  # 32 MiB, touched
        time.sleep(0.01)


def exhaust() -> Any:
    raise MemoryError


def bug() -> Any:
    raise ZeroDivisionError("nothing left")


def labelled() -> Any:
    print("said by the data function")
    random = np.random.default_rng(0)
    return random.normal(size=(16, 4)).astype(np.float32), random.integers(0, 3, 16)
