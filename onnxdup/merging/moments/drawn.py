"""Groups with several non-linearities (residual streams, gates): their channels drawn at random.

Each weight's outputs are Gaussian with the mean and covariance that its feed gives, weights that read the
same value jointly; the operators of the group then act on the samples, BatchNormalization with what it stored
in training. Values are computed when they are asked for and forgotten when nothing needs them any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from onnxdup.channels import ChannelGroup, Reader
from onnxdup.channels.flow import in_order
from onnxdup.channels.response import apply
from onnxdup.channels.tracer import Source, Step
from onnxdup.channels.transfer import Affine, Standardise
from onnxdup.merging.moments.feed import Feed
from onnxdup.merging.plan import Array

FEWEST, MOST, PER_CHANNEL = 4096, 8192, 8
JITTER = 1e-6

FeedOf = Callable[[Source], Feed | None]


@dataclass(frozen=True)
class Samples:
    """(channels, samples); `known` where their mean is more than a guess."""

    values: Array
    known: bool


@dataclass
class Drawn:
    """The values of one group, drawn once."""

    group: ChannelGroup
    reader: Reader
    feed: FeedOf
    made: dict[int, Samples | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.items = in_order(self.group)
        self.needs, self.last = _wiring(self.items)
        self.random = np.random.default_rng(self.group.number)
        self.count = int(min(MOST, max(FEWEST, PER_CHANNEL * self.group.size)))

    def at(self, value: str) -> Samples | None:
        """Samples of the group at a value, None where they cannot be told."""
        return self._make(self.last[value]) if value in self.last else None

    def _make(self, k: int) -> Samples | None:
        if k not in self.made:
            self.made[k] = None  # asked for again on the way to itself: not known
            item = self.items[k]
            if isinstance(item, Source):
                self._draw(item)
            else:
                self.made[k] = self._step(item, [None if j is None else self._make(j) for j in self.needs[k]])
        return self.made[k]

    def _step(self, step: Step, inputs: list[Samples | None]) -> Samples | None:
        known = [x for x in inputs if x is not None]
        if not known:
            return None
        transfer = step.transfer
        certain = all(x.known for x in known)
        if (isinstance(transfer, Affine) and transfer.mean is not None) or isinstance(transfer, Standardise):
            certain = True
        elif isinstance(transfer, Affine) and not certain:
            step = replace(step, transfer=Affine(transfer.scale, 0.0))
        out = apply(step, [None if x is None else x.values for x in inputs], self.reader, trained=True)
        return None if out is None else Samples(out, certain)

    def _draw(self, source: Source) -> None:
        """All sources that read what this one reads, with one factor of their joint covariance."""
        alike = [
            k
            for k, s in enumerate(self.items)
            if isinstance(s, Source) and s.node.inputs[:1] == source.node.inputs[:1] and s.use.slot == 1
        ] or [self.items.index(source)]
        if source not in [self.items[k] for k in alike]:
            alike = [self.items.index(source)]
        rows = [self._rows(self.items[k]) for k in alike]
        feed = self.feed(source)
        if feed is None or any(r is None or r.shape[1:] != rows[0].shape[1:] for r in rows):  # type: ignore[union-attr]
            return
        stacked = np.concatenate([r for r in rows if r is not None])
        draws = self._gaussian(feed.covariances(stacked).at())
        mean = None if feed.guessed else feed.mean(stacked)
        if mean is not None:
            draws += mean[:, None]
        for k, part in zip(alike, np.split(draws, len(alike)), strict=True):
            self.made[k] = Samples(part, mean is not None)

    def _rows(self, item: Source | Step) -> Array | None:
        assert isinstance(item, Source)
        index = self.reader.partition.positions(item.rows.ids, self.group.number)
        if index is None or index.shape[1] != 1:
            return None
        return self.reader.stored(item.rows).astype(np.float64) * item.gain

    def _gaussian(self, covariance: Array) -> Array:
        scale = max(float(np.trace(covariance)) / len(covariance), 1e-30)
        factor = np.linalg.cholesky(covariance + JITTER * scale * np.eye(len(covariance)))
        noise = self.random.standard_normal((len(covariance), self.count), np.float32)
        return np.asarray(factor.astype(np.float32) @ noise)


def _wiring(items: list[Source | Step]) -> tuple[list[list[int | None]], dict[str, int]]:
    """(items that each item reads, item that has the last word on each value): names are written again."""
    last: dict[str, int] = {}
    needs: list[list[int | None]] = []
    for k, item in enumerate(items):
        needs.append([] if isinstance(item, Source) else [last.get(x) for x in item.inputs])
        last[item.output] = k
    return needs, last
