"""How a sink sees its value: the axis that holds the channels, the positions that a kernel covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.channels.ids import varying
from onnxdup.channels.tracer import Sink
from onnxdup.graph import Node
from onnxdup.merging.moments.sinks import taps_of
from onnxdup.merging.plan import Index

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """Channels of a group in the value that a sink reads: `index` (channels, copies) on `axis` of `rank`.

    `offsets` are the positions of the sink's kernel where they are looked at together, else one.
    """

    sink: Sink
    axis: int
    rank: int
    index: Index
    offsets: list[tuple[int, ...]]

    @classmethod
    def of(cls, trace: Trace, group: ChannelGroup, sink: Sink) -> View | None:
        """None where the channels lie on several axes."""
        ids = trace.tracer.ids(sink.input)
        axes = varying(ids)
        if len(axes) != 1:
            return None
        index = trace.partition.positions(ids.ravel(), group.number)
        if index is None:
            return None
        offsets = taps_of(sink, group.size)
        if index.shape[1] > 1 or axes[0] != 1 or ids.ndim != 4:
            offsets = [(0, 0)]
        return cls(sink, axes[0], ids.ndim, index, offsets)

    def places(self, shape: tuple[int, ...], most: int, random: np.random.Generator) -> list[Index]:
        """At most `most` places that a value of `shape` is looked at: an index array for each other axis."""
        free = [d for k, d in enumerate(shape) if k != self.axis]
        if len(self.offsets) > 1:
            free = [free[0], *_outputs(self.sink.node, self.sink.use.constant.shape[2:], shape[2:])]  # type: ignore[union-attr]
        total = int(np.prod(free))
        flat = np.arange(total) if total <= most else np.sort(random.choice(total, most, replace=False))
        return [np.asarray(i, np.int64) for i in np.unravel_index(flat, free)]

    def rows(self, value: npt.NDArray[np.generic], places: list[Index]) -> Rows:
        """What is seen there: (places · copies, channels · taps)."""
        if len(self.offsets) > 1:
            return self._windows(value, places)
        picked = np.moveaxis(value, self.axis, -1)[tuple(places)] if places else value[None]
        seen = picked[:, self.index].astype(np.float32)
        return np.asarray(seen.transpose(0, 2, 1).reshape(-1, len(self.index)))

    def _windows(self, value: npt.NDArray[np.generic], places: list[Index]) -> Rows:
        node, kernel = self.sink.node, self.sink.use.constant.shape[2:]  # type: ignore[union-attr]
        (top, left), (down, right) = _padding(node, kernel, value.shape[2:])
        padded = np.pad(value, ((0, 0), (0, 0), (top, down), (left, right)))
        dy, dx = _steps(node, "strides")
        which, y, x = places
        channels = self.index[:, 0]
        seen = [
            padded[which[:, None], channels, (y * dy + o[0])[:, None], (x * dx + o[1])[:, None]]
            for o in self.offsets
        ]
        return np.asarray(np.stack(seen, 2).reshape(len(which), -1), np.float32)


def _steps(node: Node, name: str) -> tuple[int, int]:
    held = tuple(int(s) for s in node.attrs.get(name, ())) or (1, 1)
    return held[0], held[-1]


def _padding(node: Node, kernel: tuple[int, ...], size: tuple[int, ...]) -> list[tuple[int, int]]:
    """[(before each axis), (behind each axis)]."""
    auto = node.attrs.get("auto_pad", "NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else str(auto)
    if auto in ("NOTSET", "VALID"):
        pads = tuple(int(p) for p in node.attrs.get("pads", ())) or (0, 0, 0, 0)
        pads = (0, 0, 0, 0) if auto == "VALID" else pads
        return [(pads[0], pads[1]), (pads[2], pads[3])]
    before, behind = [], []
    reach = zip(kernel, size, _steps(node, "strides"), _steps(node, "dilations"), strict=True)
    for k, n, step, apart in reach:
        total = max((-(-n // step) - 1) * step + (k - 1) * apart + 1 - n, 0)
        small = total // 2
        before.append(total - small if auto == "SAME_LOWER" else small)
        behind.append(small if auto == "SAME_LOWER" else total - small)
    return [(before[0], before[1]), (behind[0], behind[1])]


def _outputs(node: Node, kernel: tuple[int, ...], size: tuple[int, ...]) -> list[int]:
    """Number of positions of the kernel on each axis."""
    before, behind = _padding(node, kernel, size)
    reach = zip(kernel, size, before, behind, _steps(node, "strides"), _steps(node, "dilations"), strict=True)
    return [max((n + b + e - (k - 1) * apart - 1) // step + 1, 0) for k, n, b, e, step, apart in reach]
