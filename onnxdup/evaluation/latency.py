"""Timing two models fairly: warmed up, interleaved, medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxdup.runtime import Session


@dataclass(frozen=True)
class Latency:
    """Median time of one batch in milliseconds, with its quartiles, over `runs` runs."""

    batch: int
    runs: int
    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float


def latency(
    sessions: Sequence[Session],
    feeds: Mapping[str, np.ndarray],
    *,
    batch: int,
    runs: int = 30,
    warmup: int = 5,
    budget_s: float = 20.0,
) -> tuple[Latency, ...]:
    """Time the sessions on the same feeds, in turns so that drift of the machine hits all alike.

    The order within a round alternates. Inputs and outputs stay on the device. `runs` is cut where it would
    take longer than `budget_s` seconds (but to no less than 3). Open the sessions with `optimize=True,
    deterministic=False`.
    """
    calls = [session.bound(feeds) for session in sessions]
    warm = [_timed(call) for _ in range(max(1, warmup)) for call in calls]
    rounds = max(3, min(runs, int(budget_s / max(sum(warm[-len(calls) :]), 1e-9))))
    times = np.zeros((rounds, len(calls)))
    for turn in range(rounds):
        order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
        for index in order:
            times[turn, index] = _timed(calls[index])
    return tuple(_summary(column * 1e3, batch) for column in times.T)


def _timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _summary(milliseconds: np.ndarray, batch: int) -> Latency:
    lower, median, upper = np.percentile(milliseconds, (25, 50, 75))
    return Latency(batch, len(milliseconds), float(median), float(lower), float(upper))
