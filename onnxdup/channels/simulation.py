"""The channels of a group on made-up inputs, computed operator by operator: a second opinion on relations.

Nothing here knows what a relation is. Each source gets random inputs and inputs that are zero but for one
entry; every operator then does to the numbers what it does in a model. The samples stand for positions and
examples at once: operators that mix positions (pooling, padding, moves) mix samples, by fixed random choices
that are the same for all channels. Beside each value goes a size, to which rounding errors are relative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdup.channels.flow import Reader, with_recurrences
from onnxdup.channels.relation import Array
from onnxdup.channels.tracer import Recurrence, Source
from onnxdup.channels.transfer import (
    Affine,
    Agree,
    Depthwise,
    Dequantise,
    Maximum,
    Norm,
    Parameter,
    PerChannel,
    Pointwise,
    Product,
    Quantise,
    Same,
    ShiftInvariant,
    Slopes,
    Stack,
    Standardise,
    Sum,
    Total,
    Transfer,
)

RANDOM = 24
"""Samples in which all entries of the inputs are random."""
SIZES = (1.0, 8.0, 64.0)
"""Pre-activations that inputs of a single entry aim at."""
LIMIT = 1 << 24
"""Numbers per value: beyond it, single entries are a random choice."""
WINDOW = 3
STEPS = 3
EPSILON = 1e-5


class CannotSimulate(Exception):
    """An operator that is not known here."""


@dataclass(frozen=True)
class Field:
    """Values (channels, copies, samples) and the sizes to which their rounding errors are relative."""

    value: Array
    size: Array

    def through(self, f: Callable[[Array], Array]) -> Field:
        """A function of each element."""
        step = 1e-6 * np.maximum(np.abs(self.value), 1.0)
        value = np.asarray(f(self.value), np.float64)
        slope = np.abs(f(self.value + step) - f(self.value - step)) / (2 * step)
        return Field(value, np.maximum(slope * self.size, np.abs(value)))


@dataclass
class Simulation:
    """One run over the channels that `reader` gives."""

    reader: Reader
    seed: int = 0
    random: np.random.Generator = field(init=False)
    samples: int = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        entries = [self._entries(s) for s in self.reader.group.sources]
        room = max(LIMIT // max(self.reader.group.size, 1), RANDOM)
        self.single = [min(e, room // (len(SIZES) * max(len(entries), 1))) for e in entries]
        self.samples = RANDOM + len(SIZES) * sum(self.single)

    def run(self) -> list[Field]:
        """What each sink reads."""
        with np.errstate(all="ignore"):
            state: dict[str, Field] = {}
            for item in with_recurrences(self.reader.group):
                if isinstance(item, Source):
                    state[item.output] = self._source(item)
                elif isinstance(item, Recurrence):
                    state[item.output] = self._recurrence(item, [state[x] for x in item.inputs if x in state])
                else:
                    state[item.output] = self._step(item.transfer, [state.get(x) for x in item.inputs])
            return [state[s.input] for s in self.reader.group.sinks]

    # ---- sources ---------------------------------------------------------------------------------------
    def _copies(self, parameter: PerChannel) -> int:
        index = self.reader.partition.positions(parameter.ids, self.reader.group.number)
        if index is None:
            raise CannotSimulate("unequal numbers of entries")
        return int(index.shape[1])

    def _entries(self, source: Source) -> int:
        return int(self.reader.stored(source.rows).shape[1])

    def _source(self, source: Source) -> Field:
        rows = self.reader.of(source.rows) * source.gain
        n, entries = rows.shape
        copies = self._copies(source.rows)
        sizes = np.where(np.arange(RANDOM) % 2, SIZES[0], SIZES[1]) / max(_typical(rows), 1e-300)
        inputs = (self.random.normal(size=(entries, RANDOM)) * sizes).reshape(copies, -1, RANDOM)
        cut = rows.reshape(n, copies, -1)
        value, size = np.zeros((n, copies, self.samples)), np.zeros((n, copies, self.samples))
        value[..., :RANDOM] = np.einsum("ncd,cds->ncs", cut, inputs, optimize=True)
        size[..., :RANDOM] = np.einsum("ncd,cds->ncs", np.abs(cut), np.abs(inputs), optimize=True)
        self._add_single(source, rows, value)
        size[..., RANDOM:] = np.abs(value[..., RANDOM:])
        return Field(value, size)

    def _add_single(self, source: Source, rows: Array, value: Array) -> None:
        """Samples in which one entry of the inputs is not zero: its column of the rows, enlarged."""
        number = next(k for k, s in enumerate(self.reader.group.sources) if s is source)
        start = RANDOM + len(SIZES) * sum(self.single[:number])
        chosen = self.random.choice(rows.shape[1], self.single[number], replace=False)
        copy = chosen // max(rows.shape[1] // value.shape[1], 1)
        top = np.maximum(np.abs(rows[:, chosen]).max(0, initial=0.0), 1e-300)
        for k, size in enumerate(SIZES):
            places = start + k * len(chosen) + np.arange(len(chosen))
            factor = size / top * self.random.choice([-1.0, 1.0], len(chosen))
            value[:, copy, places] = rows[:, chosen] * factor

    # ---- operators -------------------------------------------------------------------------------------
    def _step(self, transfer: Transfer, known: Sequence[Field | None]) -> Field:
        parts = [f for f in known if f is not None]
        if not parts:
            raise CannotSimulate("nothing is known of its inputs")
        if len(known) > 1 or isinstance(transfer, Sum | Product | Agree):
            signs = [s for s, f in zip(getattr(transfer, "signs", ()), known, strict=False) if f is not None]
            return self._joined(transfer, parts, signs)
        return self._alone(transfer, parts[0])

    def _joined(self, transfer: Transfer, parts: list[Field], signs: list[float]) -> Field:
        if isinstance(transfer, Stack):
            return Field(
                *(np.concatenate(x, 1) for x in zip(*((p.value, p.size) for p in parts), strict=True))
            )
        copies = max(p.value.shape[1] for p in parts)
        parts = [Field(_dealt(p.value, copies), _dealt(p.size, copies)) for p in parts]
        if getattr(transfer, "outside", False):
            other = self.random.normal(size=(1, 1, self.samples))
            parts, signs = [*parts, Field(other, np.abs(other))], [*signs, 1.0]
        if isinstance(transfer, Sum):
            total = sum((s * p.value for s, p in zip(signs, parts, strict=True)), np.zeros(1))
            return Field(total, sum((p.size for p in parts), np.zeros(1)))
        if isinstance(transfer, Product):
            out = parts[0]
            for p in parts[1:]:
                sizes = out.size * np.abs(p.value) + p.size * np.abs(out.value)
                out = Field(out.value * p.value, sizes)
            return out
        if isinstance(transfer, Agree):
            return _agreed(transfer, parts)
        raise CannotSimulate(type(transfer).__name__)

    def _alone(self, transfer: Transfer, f: Field) -> Field:
        if isinstance(transfer, Affine):
            return self._affine(transfer.scale, transfer.shift, f, transfer.mean)
        if isinstance(transfer, Pointwise):
            return f.through(transfer.apply)
        if isinstance(transfer, Slopes):
            f, (s,) = self._beside(f, transfer.slope)
            return Field(np.where(f.value < 0, s * f.value, f.value), np.maximum(1, np.abs(s)) * f.size)
        if isinstance(transfer, Quantise):
            return self._quantised(transfer, f)
        if isinstance(transfer, Dequantise):
            f, (scale, zero) = self._beside(f, transfer.scale, transfer.zero)
            return Field((f.value - zero) * scale, (f.size + np.abs(zero)) * np.abs(scale))
        if isinstance(transfer, Stack):
            return f
        return self._over_positions(transfer, f)

    def _over_positions(self, transfer: Transfer, f: Field) -> Field:
        if isinstance(transfer, Same):
            weights = self.random.dirichlet(np.ones(WINDOW))
            return self._window(f, weights, padded=not transfer.keeps_shift)
        if isinstance(transfer, Total):
            weights = self.random.dirichlet(np.ones(WINDOW)) * (transfer.count or 7)
            return self._window(f, weights, padded=transfer.count is None)
        if isinstance(transfer, Depthwise):
            return self._depthwise(transfer, f)
        if isinstance(transfer, Standardise):
            return self._standardised(transfer, f)
        neighbours = [self.random.permutation(self.samples) for _ in range(WINDOW)]
        values, sizes = (np.stack([x[..., p] for p in neighbours]) for x in (f.value, f.size))
        if isinstance(transfer, Maximum):
            return Field(values.max(0), sizes.max(0))
        if isinstance(transfer, Norm):
            return Field(np.sqrt(np.square(values).sum(0)), sizes.sum(0))
        if isinstance(transfer, ShiftInvariant):
            high = values - values.max(0)
            share = np.exp(high[0]) / np.exp(high).sum(0)
            return Field(share, share * (1 + 2 * sizes.max(0)))
        raise CannotSimulate(type(transfer).__name__)

    def _window(self, f: Field, weights: Array, *, padded: bool) -> Field:
        value, size = np.zeros_like(f.value), np.zeros_like(f.size)
        for weight in weights.tolist():
            places, inside = self._neighbours(padded)
            value += weight * inside * f.value[..., places]
            size += abs(weight) * inside * f.size[..., places]
        return Field(value, size)

    def _neighbours(self, padded: bool) -> tuple[npt.NDArray[np.int64], Array]:
        inside = (self.random.random(self.samples) < 0.7).astype(float) if padded else np.ones(self.samples)
        return self.random.permutation(self.samples), inside

    def _depthwise(self, transfer: Depthwise, f: Field) -> Field:
        kernel = self.reader.of(transfer.kernel)
        kernel = kernel.reshape(len(kernel), -1, transfer.taps)
        copies = max(f.value.shape[1], kernel.shape[1])
        f, kernel = Field(_dealt(f.value, copies), _dealt(f.size, copies)), _dealt(kernel, copies)
        value, size = np.zeros(1), np.zeros(1)
        for tap in range(transfer.taps):
            places, inside = self._neighbours(transfer.padded)
            k = kernel[:, :, tap, None]
            value = value + k * inside * f.value[..., places]
            size = size + np.abs(k) * inside * f.size[..., places]
        bias = transfer.bias
        return self._affine(bias.scale, bias.shift, Field(value, size), bias.mean)

    def _standardised(self, transfer: Standardise, f: Field) -> Field:
        spread = np.sqrt(f.value.var(-1, keepdims=True) + EPSILON)
        size = np.broadcast_to(f.size.max(-1, keepdims=True), f.size.shape) / spread
        bare = Field((f.value - f.value.mean(-1, keepdims=True)) / spread, size)
        return self._affine(transfer.scale, transfer.shift, bare, None)

    def _affine(self, scale: Parameter, shift: Parameter, f: Field, mean: Parameter | None) -> Field:
        f, (s, t, m) = self._beside(f, scale, shift, 0.0 if mean is None else mean)
        terms = np.abs(t) + np.abs(m)
        return Field(s * f.value + t, np.abs(s) * f.size + terms)

    def _quantised(self, transfer: Quantise, f: Field) -> Field:
        """Without the rounding: codes of neighbours would differ by one where values differ by an ulp."""
        f, (scale, zero) = self._beside(f, transfer.scale, transfer.zero)
        return Field(f.value / scale + zero, f.size / np.abs(scale) + np.abs(zero))

    def _beside(self, f: Field, *parameters: Parameter) -> tuple[Field, list[Array]]:
        """A field and parameters (channels, copies, 1), all with as many copies."""
        held = [self.reader.of(p)[:, :, None] for p in parameters]
        copies = max(x.shape[1] for x in (f.value, *held))
        return Field(_dealt(f.value, copies), _dealt(f.size, copies)), [_dealt(p, copies) for p in held]

    # ---- recurrent layers ------------------------------------------------------------------------------
    def _recurrence(self, item: Recurrence, states: Sequence[Field]) -> Field:
        """A cell with the gates of the layer, but one formula for all kinds: h ← h / 2 + σ(u) τ(v).

        u collects the gates that keep their sign when the unit changes its own, v those that change it too; τ
        is odd where that may be.
        """
        lumping, n = item.lumping, self.reader.group.size
        drive = {flips: np.zeros((n, self.samples)) for flips in (False, True)}
        for part in lumping.parts:
            values = self.reader.of(part.values)
            drive[part.flips] += values @ self.random.normal(size=(values.shape[1], self.samples))
        place = self.reader.places(lumping.units)
        matrix = lumping.matrix().astype(np.float64)[place]
        odd = np.array(lumping.odd)
        weight = self.random.normal(size=matrix.shape[1])
        rows = {flips: np.einsum("ngu,g->nu", matrix, np.where(odd == flips, weight, 0.0)) for flips in drive}
        whole = self.random.normal(size=(matrix.shape[2], self.samples))
        h = sum((s.value[:, 0] for s in states), np.zeros((n, self.samples)))
        tau = np.tanh if lumping.signs else _positive if lumping.scales else _sigmoid
        for _ in range(STEPS):
            whole[place] = h
            u, v = (drive[flips] + rows[flips] @ whole for flips in (False, True))
            h = h / 2 + tau(v) / (1 + np.exp(-u))
        size = 1 + sum(
            np.abs(d).max(1, keepdims=True) + np.abs(rows[k]).sum(1)[:, None] for k, d in drive.items()
        )
        return Field(h[:, None], np.broadcast_to(size, h.shape)[:, None] + np.abs(h[:, None]))


def _sigmoid(v: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-v)))


def _positive(v: Array) -> Array:
    return np.maximum(v, 0)


def _dealt(x: Array, copies: int) -> Array:
    """Numbers (channels, m, …) for so many copies of each, in turn: relations hold for all of them."""
    if x.shape[1] in (1, copies) or copies == 1:
        return x
    return x[:, np.arange(max(x.shape[1], copies)) % x.shape[1]]


def _typical(rows: Array) -> float:
    return float(np.median(np.linalg.norm(rows, axis=1))) if len(rows) else 1.0


def _agreed(transfer: Agree, parts: Sequence[Field]) -> Field:
    if transfer.monotone:
        values, sizes = (
            np.broadcast_arrays(*(p.value for p in parts)),
            np.broadcast_arrays(*(p.size for p in parts)),
        )
        return Field(np.max(values, axis=0), np.max(sizes, axis=0))
    value = sum((np.sin((1.3 + k) * p.value + k) for k, p in enumerate(parts)), np.zeros(1))
    return Field(value, 1 + sum(((1.3 + k) * p.size for k, p in enumerate(parts)), np.zeros(1)))
