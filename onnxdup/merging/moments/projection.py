"""How well fewer units can do, as a function of the units: variable projection under the Gaussian model.

Units z' = s ∘ (B t + e) stand for the n pre-activations z = L t + mean, t white. With h and h' what the next
layers see of them, and readers that are solved for (U = C_hh' (C_h'h' + lambda)⁻¹, see `compensation`),

    L(B, e) = tr V (C_hh − U C_h'h) Vᵀ,    dL/dC_hh' = −2 Vᵀ V U,    dL/dC_h'h' = Uᵀ Vᵀ V U

(Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate", SIAM J. Numer. Anal. 10, 1973: U's own derivative drops out). Both moments are Hermite
series in the correlations (see `adjoint`). That is distilling one layer into a narrower one (Hinton et al.,
2015), on all inputs of the prior at once instead of a sample of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from onnxdup.channels.tracer import Sink
from onnxdup.merging.moments.adjoint import EXTRA, gram_and_slope, to_coefficients, to_mean_and_spread
from onnxdup.merging.moments.gaussian import Gaussian, Offset
from onnxdup.merging.moments.hermite import gram, hermite_coefficients
from onnxdup.merging.moments.sinks import solved, taps_of
from onnxdup.merging.plan import Array, Index

SMALLEST = 1e-8
"""Directions of z with less than this share of the loudest one's variance count as absent."""


@dataclass
class Pair:
    """Something of units and the n channels, `cross` (displacements, n, k), and of units among themselves,
    `inner` (displacements, k, k).
    """

    cross: Array
    inner: Array


class Reading:
    """What one sink reads of the channels: `series` (n, orders), `outgoing` (outputs, n·taps).

    `places` (taps, taps) are the displacements between its taps, by number.
    """

    def __init__(self, series: Array, outgoing: Array, places: Index, own: Array, first: int) -> None:
        self.series, self.places, self.first = series, places, first
        self._which = np.equal.outer(np.arange(len(own)), places.ravel()).astype(np.float64)
        more = len(outgoing) > outgoing.shape[1]
        self.outgoing = np.asarray(np.linalg.qr(outgoing, mode="r")) if more else outgoing
        rest = series[:, first:]
        whole = self._joined(np.stack([gram(rest, rest, rho, first) for rho in own]))
        self.power = float(np.einsum("oi,ij,oj->", self.outgoing, whole, self.outgoing, optimize=True))

    def loss(self, b: Array, rho: Pair) -> tuple[float, Array, Pair]:
        """(squared error, its derivatives by the coefficients b (k, orders), and by the correlations)."""
        a, first = self.series, self.first
        cross, by_rho = _stacked(gram_and_slope, a, rho.cross, right=b, first=first)
        inner, by_own = _stacked(gram_and_slope, b, rho.inner, right=b, first=first)
        between, inside = self._joined(cross), self._joined(inner)
        wanted = self.outgoing @ between
        made = solved((inside + inside.T) / 2, wanted.T).T
        error = self.power - float((made * wanted).sum())
        by_cross = self._parts(-2 * self.outgoing.T @ made, cross)
        by_inner = self._parts(made.T @ made, inner)
        turned = by_inner.transpose(0, 2, 1), rho.inner.transpose(0, 2, 1)
        by_b = _pulled(by_cross, a, rho.cross, first) + _pulled(by_inner, b, rho.inner, first)
        by_b += _pulled(turned[0], b, turned[1], first)
        return error, by_b, Pair(by_cross * by_rho, by_inner * by_own)

    def _joined(self, parts: Array) -> Array:
        """(channel, tap) × (channel, tap) from what belongs to each displacement."""
        taps, (_, n, k) = len(self.places), parts.shape
        return np.asarray(parts[self.places].transpose(2, 0, 3, 1).reshape(n * taps, k * taps))

    def _parts(self, whole: Array, like: Array) -> Array:
        """The adjoint of `_joined`."""
        taps, (_, n, k) = len(self.places), like.shape
        blocks = whole.reshape(n, taps, k, taps).transpose(1, 3, 0, 2).reshape(taps * taps, n * k)
        return np.asarray(self._which @ blocks).reshape(like.shape)


class Projection:
    """The loss relative to what is there to lose, over flat (B, e); `start` is where units are the kept ones.

    `outgoing` is what each sink reads, (outputs, n·taps). `free`: means of units may be chosen; else they
    follow from B, as where no bias can be stored.
    """

    def __init__(self, gaussian: Gaussian, outgoing: list[Array], keep: Index, free: bool) -> None:
        self.gaussian, self.free, self.keep = gaussian, free, keep
        here = gaussian.covariance((0, 0))
        spread = np.sqrt(np.maximum(np.diag(here), 1e-300))
        values, vectors = np.linalg.eigh(here)
        lasting = values > SMALLEST * max(float(values[-1]), 1e-300)
        self.white = vectors[:, lasting] / np.sqrt(values[lasting])
        self.scale = spread[keep]
        self._response = gaussian.response(keep)
        places, self.displacements = displacements_of(gaussian.sinks, len(here))
        covariances = np.stack([gaussian.covariance(o) for o in self.displacements])
        self.towards = covariances @ self.white / spread[:, None]
        self.between = self.white.T @ (covariances @ self.white)
        own = np.clip(covariances / np.multiply.outer(spread, spread), -1.0, 1.0)
        readings = zip(gaussian.series, outgoing, places, strict=True)
        self.readings = [Reading(a, w, p, own, int(gaussian.known)) for a, w, p in readings]
        self.power = max(sum(r.power for r in self.readings), 1e-300)
        self.kept = here[keep] @ self.white / self.scale[:, None], gaussian.mean[keep] / self.scale

    @cached_property
    def level(self) -> Array:
        """What the means of the channels are in t."""
        return np.asarray(self.gaussian.mean @ self.white)

    @property
    def start(self) -> Array:
        """The kept channels as they are."""
        b, e = self.kept
        return np.concatenate([b.ravel(), e]) if self.free else b.ravel()

    def units(self, x: Array) -> tuple[Array, Array]:
        """(mix (k, n), offset (k,)): z' = mix @ z + offset."""
        b, e = self._split(x)
        mix = self.scale[:, None] * ((b - self.kept[0]) @ self.white.T)
        mix[np.arange(len(mix)), self.keep] += 1.0
        return mix, self.scale * e - mix @ self.gaussian.mean if self.free else np.zeros(len(b))

    def __call__(self, x: Array) -> tuple[float, Array]:
        """(loss, gradient)."""
        b, e = self._split(x)
        length = np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-300)
        unit, spread = b / length, self.scale * length[:, 0]
        rho = Pair(np.clip(self.towards @ unit.T, -1, 1), np.clip(unit @ self.between @ unit.T, -1, 1))
        total, by_unit = 0.0, np.zeros_like(unit)
        by_mean, by_spread = np.zeros(len(b)), np.zeros(len(b))
        for k, reading in enumerate(self.readings):
            series = self._series(k, self.scale * e, spread)
            error, by_series, slopes = reading.loss(series[:, :-EXTRA], rho)
            mean, width = to_mean_and_spread(by_series, series, spread)
            total, by_mean, by_spread = total + error, by_mean + mean, by_spread + width
            by_unit += self._to_units(slopes, unit)
        turned = by_unit - (by_unit * unit).sum(1, keepdims=True) * unit
        by_b = turned / length + (by_spread * self.scale)[:, None] * unit
        return total / self.power, self._flat(by_b, by_mean * self.scale) / self.power

    def _series(self, k: int, mean: Array, spread: Array) -> Array:
        orders = self.readings[k].series.shape[1] + EXTRA
        return hermite_coefficients(mean, spread, lambda z: self._response(z)[k], orders)

    def _to_units(self, by_rho: Pair, unit: Array) -> Array:
        """From the derivatives by correlations; that of a unit with itself is always one."""
        here = self.displacements.index((0, 0))
        np.fill_diagonal(by_rho.inner[here], 0.0)
        total = (by_rho.cross.transpose(0, 2, 1) @ self.towards).sum(0)
        total += (by_rho.inner @ (unit @ self.between.transpose(0, 2, 1))).sum(0)
        return np.asarray(total + (by_rho.inner.transpose(0, 2, 1) @ (unit @ self.between)).sum(0))

    def _split(self, x: Array) -> tuple[Array, Array]:
        b = x[: self.kept[0].size].reshape(self.kept[0].shape)
        if self.free:
            return b, x[b.size :]
        return b, self.kept[1] + (b - self.kept[0]) @ self.level

    def _flat(self, by_b: Array, by_e: Array) -> Array:
        if self.free:
            return np.concatenate([by_b.ravel(), by_e])
        return np.asarray((by_b + np.multiply.outer(by_e, self.level)).ravel())


def displacements_of(sinks: tuple[Sink, ...], n: int) -> tuple[list[Index], list[Offset]]:
    """(numbers (taps, taps) of the displacements between the taps of each sink, the displacements)."""
    taps = [taps_of(sink, n) for sink in sinks]
    apart = [[[tuple(b - a for a, b in zip(p, q, strict=True)) for q in t] for p in t] for t in taps]
    found = sorted({o for rows in apart for row in rows for o in row})
    number = {o: k for k, o in enumerate(found)}
    return [np.array([[number[o] for o in row] for row in rows], np.int64) for rows in apart], found


def _stacked(f: Any, left: Array, rho: Array, **more: Any) -> tuple[Array, ...]:
    """A function of rows, of all displacements at once."""
    tiled = np.tile(left, (len(rho), 1))
    return tuple(part.reshape(rho.shape) for part in f(tiled, rho=rho.reshape(-1, rho.shape[2]), **more))


def _pulled(weight: Array, left: Array, rho: Array, first: int) -> Array:
    flat = (-1, rho.shape[2])
    return to_coefficients(weight.reshape(flat), np.tile(left, (len(rho), 1)), rho.reshape(flat), first)


__all__ = ["Projection", "displacements_of"]
