"""Whether the types that store the readers of a group can hold the sums that merging makes of their columns.

float16 sums may overflow; integers must stay whole and inside their range: code_i + a (code_j − zero).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Reader
from onnxdup.channels.quantised import Quantised, is_whole, limits
from onnxdup.channels.tracer import Use
from onnxdup.channels.transfer import PerChannel
from onnxdup.merging.plan import Array

WHOLE = 2.0**-17
"""How far from an integer a scaled code may be: what the rounding of a fitted scale leaves."""


@dataclass(frozen=True)
class Left:
    """A proven pair that is left alone: channel `dropped` of `group` could be `kept`, but for `reason`."""

    group: str
    dropped: int
    kept: int
    reason: str


class _Column(Protocol):
    def sum(self, i: int, j: int, a: float) -> Array | None: ...
    def keep(self, i: int, total: Array) -> None: ...
    @property
    def type(self) -> str: ...


class Sums:
    """Running sums of the columns of every reader of a group, as far as its type may not hold them."""

    def __init__(self, group: ChannelGroup, reader: Reader) -> None:
        """Nothing is read before the first pair."""
        self._group, self._reader = group, reader
        self._columns: list[tuple[int, _Column]] | None = None

    def add(self, j: int, i: int, scale: Array) -> str | None:
        """Add `scale[k]` times column j to column i of every reader k; where one cannot hold it, why, and
        nothing changes.
        """
        return self.mix(j, [i], scale[:, None])

    def mix(self, j: int, kept: Sequence[int], scale: Array) -> str | None:
        """As `add` for several columns: `scale[k, p]` times column j goes to column kept[p] of reader k."""
        if self._columns is None:
            self._columns = list(_columns(self._group, self._reader))
        totals = []
        for k, column in self._columns:
            for p, i in enumerate(kept):
                total = column.sum(i, j, float(scale[k, p]))
                if total is None:
                    return f"the sum does not fit {column.type}"
                totals.append((column, i, total))
        for column, i, total in totals:
            column.keep(i, total)
        return None


def _columns(group: ChannelGroup, reader: Reader):  # type: ignore[no-untyped-def]
    for k, sink in enumerate(group.sinks):
        if sink.use is None:
            continue
        how = sink.use.constant.quantised
        if how is not None:
            yield k, _Codes(how, sink.use, reader)
        elif (narrow := _narrow(sink.use)) is not None:
            yield k, _Floats(narrow, _rows(sink.use, sink.use.constant.read, reader))


def _rows(use: Use, read: Callable[[], npt.NDArray[np.generic]], reader: Reader) -> Array:
    return np.array(reader.stored(PerChannel(use.ids, lambda: use.rows(read))), np.float64)


def _narrow(use: Use) -> np.dtype[np.generic] | None:
    """The smaller of the stored and the computed type where it is narrower than float32."""
    types = [use.constant.dtype, use.constant.read().dtype]
    smallest = min(types, key=lambda d: limits(d)[1])
    return smallest if smallest.itemsize < 4 and not is_whole(smallest) else None


class _Floats:
    def __init__(self, dtype: np.dtype[np.generic], values: Array) -> None:
        self.dtype, self.values = dtype, values

    @property
    def type(self) -> str:
        return self.dtype.name

    def sum(self, i: int, j: int, a: float) -> Array | None:
        total = self.values[i] + a * self.values[j]
        with np.errstate(over="ignore"):
            stored = total.astype(self.dtype).astype(np.float64)
        new = ~np.isfinite(stored) & np.isfinite(self.values[i]) & np.isfinite(self.values[j])
        return None if new.any() else total

    def keep(self, i: int, total: Array) -> None:
        self.values[i] = total


class _Codes:
    def __init__(self, how: Quantised, use: Use, reader: Reader) -> None:
        self.how = how
        self.low, self.high = limits(how.dtype)
        self.values = _rows(use, how.codes, reader)
        self.zeros = _rows(use, how.zeros, reader)
        self.scales = self._along(use, reader)

    @property
    def type(self) -> str:
        return self.how.dtype.name

    def _along(self, use: Use, reader: Reader) -> Array | None:
        """Scale of each column where columns have scales of their own."""
        axes = use.constant.axes
        if self.how.axis is None or axes is None or axes[use.axis] != self.how.axis:
            return None
        scale = self.how.scale
        return np.asarray(reader.stored(PerChannel(use.ids, lambda: scale.read().reshape(-1, 1))), np.float64)

    def sum(self, i: int, j: int, a: float) -> Array | None:
        if self.scales is not None and (self.scales[i] != self.scales[j]).any():
            return None
        total = self.values[i] + a * self.values[j]
        if is_whole(self.how.dtype):
            whole = np.rint(total)
            fits = np.abs(whole - total) <= WHOLE
            total = whole
        else:
            fits = total.astype(self.how.dtype).astype(np.float64) == total
        stored = total + self.zeros[i]
        inside = fits & (stored >= self.low) & (stored <= self.high)
        return total if inside.all() else None

    def keep(self, i: int, total: Array) -> None:
        self.values[i] = total
