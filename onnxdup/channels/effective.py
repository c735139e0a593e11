"""Effective rows: what multiplies a producer's input at the first non-linearity, carriers folded in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnxdup.channels.flow import Reader, in_order
from onnxdup.channels.relation import Array
from onnxdup.channels.tracer import Source, Step
from onnxdup.channels.transfer import Affine, Depthwise, Same, Slopes, Standardise, Sum


@dataclass(frozen=True)
class Block:
    """Pre-activation = Σ_p gain_p (rows_p · x_p) + shift, at one non-linearity.

    `gain` is (channels, m) per source, `shift` (channels, m); `slot` is where the shift can be edited, with
    the factor from the stored value to the shift. Where BatchNormalization knows them, `mean` (channels, 1)
    and `spreads` (channels, 1) per source are mean and standard deviation of the pre-activation.
    """

    sources: tuple[tuple[Source, Array], ...]
    shift: Array
    slot: Affine | None = None
    slot_gain: Array | None = None
    mean: Array | None = None
    spreads: tuple[Array, ...] = ()

    def weights(self, reader: Reader) -> list[Array]:
        """gain · w per source: (channels, d)."""
        parts = []
        for source, gain in self.sources:
            w = reader.stored(source.rows).astype(np.float64) * source.gain
            parts.append((w.reshape(len(w), gain.shape[1], -1) * gain[:, :, None]).reshape(len(w), -1))
        return parts

    def rows(self, reader: Reader) -> Array:
        """[gain·w ; shift] per channel: (channels, d + m)."""
        return np.concatenate([*self.weights(reader), self.shift], 1)

    def signature(self, reader: Reader) -> Array:
        """The same in the metric of the pre-activation: [sigma · w/‖w‖ ; mean] where mean and sigma are
        known.

        A shift −s·E[x] that only undoes the mean of the input would otherwise drown the direction.
        """
        if self.mean is None:
            return self.rows(reader)
        parts = self.weights(reader)
        unit = [w / np.maximum(np.linalg.norm(w, axis=1, keepdims=True), 1e-30) for w in parts]
        return np.concatenate([*(u * s for u, s in zip(unit, self.spreads, strict=True)), self.mean], 1)


@dataclass
class _Form:
    sources: list[tuple[Source, Array]] = field(default_factory=list)
    shift: Array = field(default_factory=lambda: np.zeros((0, 1)))
    slot: Affine | None = None
    slot_gain: Array | None = None
    mean: Array | None = None
    spreads: list[Array] = field(default_factory=list)

    def block(self) -> Block:
        sources = tuple(self.sources)
        return Block(sources, self.shift, self.slot, self.slot_gain, self.mean, tuple(self.spreads))


@dataclass(frozen=True)
class Effective:
    """The blocks of a group, and the steps behind them that have parameters per channel."""

    blocks: list[Block]
    later: list[Step]

    def carriers(self, reader: Reader, scale: Array) -> list[Array]:
        """What the carriers behind the first non-linearities do to a channel of amplitude `scale`: rows
        (channels, m).

        Depthwise kernels and biases, scales and shifts, slopes. Channels with equal filters and different
        kernels are different channels.
        """
        amplitude = np.asarray(scale, np.float64)[:, None]
        out = []
        for step in self.later:
            row, amplitude = _carried(step, reader, amplitude)
            if row is not None:
                out.append(row)
        return out

    def amplitude(self, reader: Reader, scale: Array) -> Array:
        """Amplitude (channels,) behind those carriers of channels that had the amplitude `scale` before."""
        amplitude = np.asarray(scale, np.float64)[:, None]
        for step in self.later:
            amplitude = _carried(step, reader, amplitude)[1]
        return np.asarray(amplitude[:, 0])


def effective(reader: Reader) -> Effective:
    """Walk a group: one block wherever a linear form meets something that is not affine."""
    group = reader.group
    forms: dict[str, _Form] = {}
    done: dict[int, _Form] = {}
    later: list[Step] = []
    for item in in_order(group):
        if isinstance(item, Source):
            forms[item.output] = _Form([(item, np.ones((group.size, 1)))], np.zeros((group.size, 1)))
            continue
        known = [forms.get(x) for x in item.inputs]
        new = _advance(item.transfer, known, reader)
        if new is not None:
            forms[item.output] = new
            continue
        done.update({id(form): form for form in known if form is not None})
        forms.pop(item.output, None)
        if isinstance(item.transfer, Affine | Depthwise | Slopes | Standardise):
            later.append(item)
    for sink in group.sinks:
        if (form := forms.get(sink.input)) is not None:
            done.setdefault(id(form), form)
    return Effective([form.block() for form in done.values()], later)


def _carried(step: Step, reader: Reader, amplitude: Array) -> tuple[Array | None, Array]:
    transfer = step.transfer
    if isinstance(transfer, Depthwise):
        kernel, shift = reader.of(transfer.kernel), reader.of(transfer.bias.shift)
        row = np.concatenate([amplitude * kernel, shift], 1)
        return row, amplitude * np.linalg.norm(kernel, axis=1, keepdims=True)
    if isinstance(transfer, Slopes):
        slope = reader.of(transfer.slope)
        return np.concatenate([np.ones((len(slope), 1)), slope], 1), amplitude
    if isinstance(transfer, Affine | Standardise):
        scale, shift = reader.of(transfer.scale), reader.of(transfer.shift)
        if (scale == scale[0]).all() and (shift == shift[0]).all():
            return None, amplitude
        start = np.ones_like(amplitude) if isinstance(transfer, Standardise) else amplitude
        row = np.concatenate([start * scale, shift], 1)
        return row, start * np.abs(scale).mean(1, keepdims=True)
    return None, amplitude


def _advance(transfer: object, known: list[_Form | None], reader: Reader) -> _Form | None:
    if any(f is None for f in known):
        return None
    operands = [f for f in known if f is not None]
    if isinstance(transfer, Same) and transfer.keeps_shift:
        return operands[0]
    if isinstance(transfer, Sum) and not transfer.outside and not any(f is operands[0] for f in operands[1:]):
        return _added(operands, transfer.signs)
    if isinstance(transfer, Affine):
        return _scaled(operands[0], transfer, reader)
    return None


def _copies(reader: Reader, source: Source) -> int:
    index = reader.partition.positions(source.rows.ids, reader.group.number)
    return 0 if index is None else index.shape[1]


def _added(operands: list[_Form], signs: tuple[float, ...]) -> _Form:
    out = _Form(shift=np.zeros((1, 1)))
    for sign, form in zip(signs, operands, strict=True):
        out.sources += [(s, sign * g) for s, g in form.sources]
        out.shift = out.shift + sign * form.shift
        if form.slot is not None and out.slot is None and form.slot_gain is not None:
            out.slot, out.slot_gain = form.slot, sign * form.slot_gain
    if all(f.mean is not None for f in operands):
        out.mean = np.sum(
            [s * f.mean for s, f in zip(signs, operands, strict=True) if f.mean is not None], axis=0
        )
        out.spreads = [s for f in operands for s in f.spreads]
    return out


def _scaled(form: _Form, step: Affine, reader: Reader) -> _Form | None:
    """The form behind an affine step; None where the scale is a map over positions, which no row can hold."""
    s, t = reader.of(step.scale), reader.of(step.shift)
    if (s == s[:, :1]).all():
        s = s[:, :1]
    elif any(_copies(reader, source) != s.shape[1] for source, _ in form.sources):
        return None
    sources = [(source, gain * s) for source, gain in form.sources]
    out = _Form(sources, form.shift * s + t, form.slot, form.slot_gain)
    if step.shift_use is not None:
        out.slot, out.slot_gain = step, np.full((reader.group.size, 1), step.shift_gain)
    elif out.slot_gain is not None:
        out.slot_gain = out.slot_gain * s
    if step.mean is not None and step.spread is not None and len(form.sources) == 1:
        out.mean, out.spreads = reader.of(step.mean), [reader.of(step.spread)]
    elif form.mean is not None:
        out.mean, out.spreads = form.mean * s + t, [x * np.abs(s) for x in form.spreads]
    if out.mean is not None and (out.mean.shape[1] > 1 or any(x.shape[1] > 1 for x in out.spreads)):
        out.mean, out.spreads = None, []
    return out
