"""Which group loses its next channel: the one whose predicted error per saved cost is smallest.

The marginal greedy rule gives one order over all groups; how far to go along it is the only free number of a
search (the price that is paid per unit of cost). Errors of a group never fall from step to step, and what a
channel saves only shrinks as its neighbours do, so that ratios only grow and a heap with lazy renewal finds
the minimum (Minoux, "Accelerated greedy algorithms", 1978).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onnxdup.reduce.curves import Curve
from onnxdup.reduce.rounding import widths
from onnxdup.reduce.sizes import Sizes


@dataclass(frozen=True)
class Step:
    """Group `group` goes down to `left` channels and saves `saved`, at `price` (predicted error per unit)."""

    group: str
    left: int
    price: float
    saved: float


@dataclass(frozen=True)
class Path:
    """All steps, cheapest first. Position p stands for the first p of them."""

    sizes: Mapping[str, int]
    steps: tuple[Step, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def counts(self, position: int) -> dict[str, int]:
        """Channels left of every group at a position: group → number."""
        return {**self.sizes, **{s.group: s.left for s in self.steps[:position]}}


def greedy(curves: Sequence[Curve], sizes: Sizes, round_to: int = 1) -> Path:
    """Every step down to one channel (or `round_to`) of each group, in the order of their prices."""
    return Path({c.group: c.size for c in curves}, tuple(_steps(curves, sizes, round_to)))


def _steps(curves: Sequence[Curve], sizes: Sizes, round_to: int) -> Iterator[Step]:
    removed = {c.group: 0 for c in curves}
    levels = {c.group: widths(c.size, round_to) for c in curves}
    known = {c.group: c for c in curves}

    def offer(name: str) -> tuple[float, str, float]:
        curve, left = known[name], levels[name]
        step = curve.size - left[1] - removed[name]
        saved = sizes.saving(name, step, removed)
        error = float(curve.error[removed[name] : removed[name] + step].sum())
        return (error / saved if saved > 0 else math.inf), name, saved

    heap = [offer(c.group) for c in curves if len(levels[c.group]) > 1]
    heapq.heapify(heap)
    while heap:
        price, name, saved = offer(heapq.heappop(heap)[1])
        if heap and price > heap[0][0]:
            heapq.heappush(heap, (price, name, saved))
            continue
        levels[name].pop(0)
        removed[name] = known[name].size - levels[name][0]
        yield Step(name, levels[name][0], price, saved)
        if len(levels[name]) > 1:
            heapq.heappush(heap, offer(name))


def uniform(channels: Mapping[str, int], sizes: Sizes, round_to: int = 1) -> Path:
    """The same share of every group, for methods that have no order: a step wherever some group narrows.

    Here a step's price is the share that has gone.
    """
    moves = sorted(
        (1 - left / size, name, above, left)
        for name, size in channels.items()
        for above, left in pairwise(widths(size, round_to))
    )
    removed = dict.fromkeys(channels, 0)
    steps = []
    for gone, name, above, left in moves:
        steps.append(Step(name, left, gone, sizes.saving(name, above - left, removed)))
        removed[name] += above - left
    return Path(dict(channels), tuple(steps))
