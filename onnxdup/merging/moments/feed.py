"""What is assumed or known of the values that a weight reads: mean, covariance between channels, smoothness.

Where no data say it, inputs are white, or smooth in space and alike in colour: neighbouring pixels of natural
images correlate by about 0.95, activations of convolutional layers by about 0.7, colour channels by about
0.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onnxdup.channels.ids import Shape
from onnxdup.merging.plan import Array, Index

IMAGE, FEATURE, COLOUR = 0.95, 0.7, 0.9
LARGEST_COVARIANCE = 1 << 26
"""Entries of a covariance between channels that is taken into account; larger ones count as the identity."""


def distances(shape: Shape, offset: tuple[float, ...]) -> Array:
    """Euclidean distance between positions u and v + offset of a box: (positions, positions)."""
    axes = np.meshgrid(*(np.arange(d) for d in shape), indexing="ij")
    place = np.stack([a.ravel() for a in axes], 1).astype(np.float64)
    apart = place[:, None, :] - place[None, :, :] - np.asarray(offset, np.float64)[: len(shape)]
    return np.asarray(np.sqrt((apart**2).sum(-1)))


@dataclass(frozen=True)
class Part:
    """Some channels on the input axis of a weight: channel c stands at `index[c]` (channels, copies).

    `mean` (channels,) is None where it is unknown, `covariance` (channels, channels) None where channels
    count as independent with unit variance.
    """

    index: Index
    mean: Array | None
    covariance: Array | None


@dataclass(frozen=True)
class Feed:
    """All that a weight reads. Its rows are (filters, axis · taps) with taps the positions of the kernel.

    `grid` is the box that copies of a channel and taps of the kernel together fill, `space` their correlation
    per unit of distance, `strides` how far the kernel moves between neighbouring outputs. `guessed`: the
    means are those of standardised inputs, which nobody measured; no mean further on is derived from them.
    """

    parts: tuple[Part, ...]
    taps: int
    grid: Shape
    space: float
    strides: tuple[int, ...] = (1,)
    guessed: bool = False

    def mean(self, rows: Array) -> Array | None:
        """Mean of rows · input: (filters,), or None where a part has no known mean."""
        out = np.zeros(len(rows))
        for part in self.parts:
            if part.mean is None:
                return None
            out += self._own(rows, part).sum(2) @ part.mean
        return out

    def covariances(self, rows: Array) -> Covariances:
        """Covariances of rows · input between positions."""
        return Covariances(self, [self._own(rows, p) for p in self.parts])

    def _own(self, rows: Array, part: Part) -> Array:
        """(filters, channels, copies · taps)."""
        w = rows.reshape(len(rows), -1, self.taps)[:, part.index]
        return np.asarray(w.reshape(len(rows), len(part.index), -1))


@dataclass
class Covariances:
    """Covariance of the outputs of some filters at two positions: quadratic forms w_i (C ⊗ R) w_jᵀ."""

    feed: Feed
    own: list[Array]

    @cached_property
    def _spread(self) -> list[Array]:
        """C · w for each part."""
        return [
            w
            if p.covariance is None
            else np.asarray(np.einsum("cd,ndp->ncp", p.covariance, w, optimize=True))
            for p, w in zip(self.feed.parts, self.own, strict=True)
        ]

    def at(self, offset: tuple[int, ...] = ()) -> Array:
        """(filters, filters), for outputs `offset` positions apart."""
        rank = len(self.feed.grid)
        steps = (*self.feed.strides, *(1,) * rank)
        apart = tuple(float(o * s) for o, s in zip((*offset, *(0,) * rank), steps, strict=False))[:rank]
        near = self.feed.space ** distances(self.feed.grid, apart)
        if near.size == 1:
            return np.asarray(self._alone * near[0, 0])
        return self._product(near)

    @cached_property
    def _alone(self) -> Array:
        return self._product(np.ones((1, 1)))

    def _product(self, near: Array) -> Array:
        total = None
        for w, spread in zip(self.own, self._spread, strict=True):
            n = len(w)
            moved = w if near.size == 1 else w @ near
            part = moved.reshape(n, -1) @ spread.reshape(n, -1).T
            total = part if total is None else total + part
        return np.asarray(total)
