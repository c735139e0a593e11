"""What the operators of a group make of many values of each channel at once: arrays (channels, samples).

Where `constant` of a transfer asks what is certain, this asks what is likely: windows over positions see a
constant, a summand or factor without channels is left out, BatchNormalization gives what it gave in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from onnxdup.channels.flow import Pairs, Reader, in_order
from onnxdup.channels.relation import Array
from onnxdup.channels.tracer import Source, Step
from onnxdup.channels.transfer import (
    Affine,
    Depthwise,
    Maximum,
    Pointwise,
    Product,
    Same,
    Slopes,
    Stack,
    Standardise,
    Sum,
    Total,
)

TINY = 1e-12
LINEAR = (Affine, Sum, Same)


def apply(
    step: Step, known: Sequence[Array | None], reader: Reader, *, trained: bool = False
) -> Array | None:
    """The output of a step for inputs (channels, samples), None where it cannot be told.

    `trained`: the samples stand for the training data, so a normalisation standardises them.
    """
    values = [v for v in known if v is not None]
    rule = next((f for kind, f in _RULES if isinstance(step.transfer, kind)), None)
    if not values or rule is None:
        return None
    given = list(known) if isinstance(step.transfer, Sum) else values
    with np.errstate(all="ignore"):
        out = rule(step.transfer, given, reader, trained)
    return out if out is not None and np.isfinite(out).all() else None


def respond(reader: Reader, z: Array) -> list[Array | None]:
    """What each sink sees of every channel when the whole linear form before the first non-linearity is z
    (channels, samples): affine steps inside it are skipped.
    """
    linear: set[str] = set()
    state: dict[str, Array | None] = {}
    for item in in_order(reader.group):
        if isinstance(item, Source) or _extends(item, linear):
            linear.add(item.output)
            state[item.output] = z
            continue
        linear.discard(item.output)
        state[item.output] = apply(item, [state.get(x) for x in item.inputs], reader)
    return [state.get(s.input) for s in reader.group.sinks]


def _extends(step: Step, linear: set[str]) -> bool:
    return isinstance(step.transfer, LINEAR) and all(x in linear for x in step.inputs)


def _column(reader: Reader, parameter: object) -> Array | None:
    """A parameter with one value per channel: (channels, 1)."""
    values = reader.of(parameter)  # type: ignore[arg-type]
    return values[:, :1] if (values == values[:, :1]).all() else None


def _affine(t: Affine, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    scale, shift = _column(reader, t.scale), _column(reader, t.shift)
    if scale is None or shift is None:
        return None
    out = scale * values[0] + shift
    if not trained or t.mean is None or t.spread is None:
        return np.asarray(out)
    mean, spread = _column(reader, t.mean), _column(reader, t.spread)
    return None if mean is None or spread is None else _standardised(out) * np.abs(spread) + mean


def _standardised(values: Array) -> Array:
    apart = values - values.mean(1, keepdims=True)
    return np.asarray(apart / np.maximum(apart.std(1, keepdims=True), TINY))


def _depthwise(t: Depthwise, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    kernel = reader.of(t.kernel)
    if kernel.shape[1] != t.taps:
        return None
    mean = values[0].mean(1, keepdims=True)
    total = kernel.sum(1, keepdims=True)
    gain = np.sqrt((FEATURE * total**2 + (1 - FEATURE) * (kernel**2).sum(1, keepdims=True)).clip(0))
    moved = mean * total + (values[0] - mean) * gain * np.where(total < 0, -1.0, 1.0)
    return _affine(t.bias, [moved], reader, trained)


FEATURE = 0.6
"""Correlation of neighbouring values of one channel, seen through a depthwise kernel."""


def _instance(t: Standardise, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    return _affine(Affine(t.scale, t.shift), [_standardised(values[0])], reader, False)


def _slopes(t: Slopes, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    slope = _column(reader, t.slope)
    return None if slope is None else np.where(values[0] < 0, slope * values[0], values[0])


def _first(t: object, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    return values[0]


def _total(t: Total, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    return values[0] * float(t.count or 1)


def _sum(t: Sum, values: list[Array | None], reader: Reader, trained: bool) -> Array | None:
    parts = [s * v for s, v in zip(t.signs, values, strict=True) if v is not None]
    return np.asarray(np.sum(parts, axis=0))


def _product(t: Product, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    return np.asarray(np.prod(values, axis=0))


def _pointwise(t: Pointwise, values: list[Array], reader: Reader, trained: bool) -> Array | None:
    none = np.zeros(0, np.int64)
    return t.constant(values[:1], Pairs(reader, none, none))


_Rule = Callable[..., Array | None]
_RULES: tuple[tuple[type, _Rule], ...] = (
    (Affine, _affine),
    (Depthwise, _depthwise),
    (Standardise, _instance),
    (Slopes, _slopes),
    (Same, _first),
    (Stack, _first),
    (Maximum, _first),
    (Total, _total),
    (Sum, _sum),
    (Product, _product),
    (Pointwise, _pointwise),
)
