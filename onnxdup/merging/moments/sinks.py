"""Moments of what one sink reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from onnxdup.channels.tracer import Sink
from onnxdup.merging.plan import Array, Index

RIDGE = 1e-6
JOINT = 1200
"""Most (channel, tap) pairs whose moments are taken jointly; larger kernels count per channel."""


@dataclass(frozen=True)
class SinkMoments:
    """What one sink reads: `second` (n·taps, n·taps) uncentred, `mean` (n·taps,); `known` where the mean is.

    With taps > 1 the entries are (channel, tap): what a k × k kernel sees at once. `before`, where the model
    in front has been cut already, is what the sink read of the original.
    """

    sink: Sink
    mean: Array
    second: Array
    taps: int
    known: bool
    before: Before | None = None

    @property
    def finite(self) -> bool:
        """Are these numbers that one can compute with?"""
        return bool(np.isfinite(self.second).all() and np.isfinite(self.mean).all())

    @property
    def centred(self) -> Array:
        """Covariance where the mean is known, else the uncentred moment."""
        return self.second - np.outer(self.mean, self.mean) if self.known else self.second

    def fit(self, keep: Index) -> Fit:
        """The regression of all channels on the kept ones."""
        places = (keep[:, None] * self.taps + np.arange(self.taps)).ravel()
        inner = self.second[np.ix_(places, places)]
        if self.before is not None:
            mean, cross, same = self.before.mean, self.before.cross[:, places], None
        else:
            mean, cross, same = self.mean, self.second[:, places], places
        return Fit(self.sink, self.known, mean, self.mean[places], cross, inner, same)


@dataclass(frozen=True)
class Before:
    """Mean (n·taps,) of what a sink read in the original model, and E[h_original h_nowᵀ] (n·taps, n·taps)."""

    mean: Array
    cross: Array


@dataclass(frozen=True)
class Fit:
    """The regression h ≈ U h' + c of what a sink read, h (n·taps,), on what it will read, h' (k·taps,).

    `wanted` and `given` are their means, `cross` E[h h'ᵀ], `inner` E[h' h'ᵀ]; `same` are the entries of h
    that h' holds unchanged.
    """

    sink: Sink
    known: bool
    wanted: Array
    given: Array
    cross: Array
    inner: Array
    same: Index | None = None

    @property
    def finite(self) -> bool:
        """Are these numbers that one can compute with?"""
        return all(bool(np.isfinite(x).all()) for x in (self.wanted, self.given, self.cross, self.inner))

    @property
    def centred_cross(self) -> Array:
        """Covariance of h and h' where means are known, else the uncentred moment."""
        return self.cross - np.outer(self.wanted, self.given) if self.known else self.cross

    @property
    def centred_inner(self) -> Array:
        """The same of h' with itself."""
        return self.inner - np.outer(self.given, self.given) if self.known else self.inner

    def explained(self, outgoing: Array) -> float:
        """Square of what a reader `outgoing` (outputs, n·taps) puts out that h' accounts for."""
        wanted = outgoing @ self.centred_cross
        return float((solved(self.centred_inner, wanted.T).T * wanted).sum())

    def solve(self) -> tuple[Array, Array]:
        """(U (n·taps, k·taps), constant (n·taps,))."""
        u = solved(self.centred_inner, self.centred_cross.T).T
        if self.same is not None:
            u[self.same] = np.eye(len(self.same))
        constant = self.wanted - u @ self.given if self.known else np.zeros(len(u))
        if self.same is not None:
            constant[self.same] = 0.0
        return np.asarray(u), np.asarray(constant)


def solved(moment: Array, right: Array) -> Array:
    """(moment + ridge)⁻¹ right for a positive semidefinite moment; directions that rounding made negative
    count as absent.
    """
    ridge = RIDGE * max(float(np.trace(moment)) / max(len(moment), 1), 1e-30)
    raised = moment + ridge * np.eye(len(moment))
    try:
        return np.asarray(cho_solve(cho_factor(raised), right))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(raised)
        inverse = np.where(values > ridge, 1 / np.maximum(values, ridge), 0.0)
        return np.asarray((vectors * inverse) @ (vectors.T @ right))


def taps_of(sink: Sink, channels: int) -> list[tuple[int, ...]]:
    """Positions of the kernel of a two-dimensional Conv that reads the channels; one position otherwise."""
    alone: list[tuple[int, ...]] = [(0, 0)]
    if sink.use is None or sink.node.op_type not in ("Conv", "FusedConv"):
        return alone
    shape = sink.use.constant.shape
    if len(shape) != 4 or int(sink.node.attrs.get("group", 1)) != 1 or channels * shape[2] * shape[3] > JOINT:
        return alone
    step = tuple(int(d) for d in sink.node.attrs.get("dilations", (1, 1)))
    return [(y * step[0], x * step[1]) for y in range(shape[2]) for x in range(shape[3])]


def joint(moment: Callable[[tuple[int, ...]], Array], offsets: list[tuple[int, ...]]) -> Array:
    """Moment over (channel, tap) × (channel, tap) from the moments (n, m) at each displacement."""
    taps = len(offsets)
    if taps == 1:
        return moment((0, 0))
    found: dict[tuple[int, ...], Array] = {}
    rows = []
    for p in offsets:
        row = []
        for q in offsets:
            apart = tuple(b - a for a, b in zip(p, q, strict=True))
            if apart not in found:
                found[apart] = moment(apart)
            row.append(found[apart])
        rows.append(row)
    n, m = rows[0][0].shape
    return np.asarray(np.array(rows).transpose(2, 0, 3, 1).reshape(n * taps, m * taps))
