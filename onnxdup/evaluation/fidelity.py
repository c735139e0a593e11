"""How near the outputs of one model are to another's on the same inputs, accumulated over batches.

Equal non-finite values count as equal (NaN = NaN, inf = inf); a finite value against a non-finite one,
another shape, another set of keys or another string is an infinite error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.evaluation.casting import family
from onnxdup.evaluation.scores import read_scores


@dataclass(frozen=True)
class Fidelity:
    """One output of the second model against the first's.

    `relative_error` is the largest absolute error over `scale`, the largest finite magnitude of the first
    model's output (0 where both are 0). `cosine` is taken over all elements together (1 where both are zero).
    `agreement` is the share of samples with the same top-1 class, None where the output holds no class
    scores. `finite` says that every value of the second model's output is; `note` says what made an error
    infinite. Outputs of other kinds or shapes are not `comparable`.
    """

    output: str
    elements: int
    max_absolute_error: float
    mean_absolute_error: float
    relative_error: float
    scale: float
    cosine: float
    agreement: float | None
    finite: bool
    note: str = ""
    comparable: bool = True

    @property
    def identical(self) -> bool:
        """Whether no element differs."""
        return self.max_absolute_error == 0


class FidelityMeter:
    """Accumulates one output over batches in float64 and constant memory."""

    def __init__(self, output: str) -> None:
        self.output = output
        self.elements = 0
        self.largest = self.total = self.scale = 0.0
        self.products = np.zeros(3)  # <a, b>, |a|², |b|²
        self.answers = self.agreed = 0
        self.finite = self.comparable = True
        self.note = ""

    def add(self, first: Any, second: Any) -> None:
        """Count one batch of this output from both models."""
        self._count_answers(first, second)
        pairs, note = _aligned(first, second)
        if note:
            self.comparable = False
            self.note, self.largest, self.total = note, math.inf, math.inf
            self.finite = self.finite and all_finite(second)
            return
        for a, b in pairs:
            self._add_arrays(a, b)

    def _count_answers(self, first: Any, second: Any) -> None:
        a, b = read_scores(first), read_scores(second)
        if a is None or b is None or (a.values is None) != (b.values is None):
            return
        top_a, top_b = a.top(), b.top()
        if len(top_a) == len(top_b):
            self.answers += len(top_a)
            self.agreed += int(np.sum(top_a == top_b))

    def _add_arrays(self, first: np.ndarray, second: np.ndarray) -> None:
        if family(first.dtype) == "text":
            self._add_text(first, second)
            return
        a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
        error = absolute_error(a, b)
        self.elements += a.size
        self.finite = self.finite and bool(np.isfinite(b).all())
        if a.size:
            self.largest = max(self.largest, float(error.max()))
            self.total += float(error.sum())
        both = np.isfinite(a) & np.isfinite(b)
        if not both.all():
            self.note = self.note or "non-finite values"
            self.scale = max(self.scale, float(np.abs(a[np.isfinite(a)]).max(initial=0.0)))
            a, b = a[both], b[both]
        self.scale = max(self.scale, float(np.abs(a).max(initial=0.0)))
        with np.errstate(over="ignore"):
            self.products += (a @ b, a @ a, b @ b)

    def _add_text(self, first: np.ndarray, second: np.ndarray) -> None:
        different = int(np.sum(first.ravel() != second.ravel()))
        self.elements += first.size
        self.products += first.size - different, first.size, first.size
        if different:
            self.note, self.largest, self.total = "other strings", math.inf, math.inf

    def result(self) -> Fidelity:
        """The measures over all batches so far."""
        return Fidelity(
            output=self.output,
            elements=self.elements,
            max_absolute_error=self.largest,
            mean_absolute_error=self.total / self.elements if self.elements else self.total,
            relative_error=_ratio(self.largest, self.scale),
            scale=self.scale,
            cosine=_cosine(*self.products.tolist()) if self.comparable else 0.0,
            agreement=self.agreed / self.answers if self.answers and self.comparable else None,
            finite=self.finite,
            note=self.note,
            comparable=self.comparable,
        )


def compare_outputs(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Fidelity, ...]:
    """One batch of outputs of two models, by name of the first's outputs."""
    meters = [FidelityMeter(name) for name in first]
    for meter in meters:
        meter.add(first[meter.output], second.get(meter.output))
    return tuple(meter.result() for meter in meters)


def absolute_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b| elementwise in float64; 0 where both are the same non-finite value, inf where only one is."""
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(a - b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def _aligned(first: Any, second: Any) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """Arrays to compare pairwise, out of tensors, sequences and maps; or a note why there are none."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        if first.shape != second.shape:
            return [], f"shape {second.shape} instead of {first.shape}"
        if (family(first.dtype) == "text") != (family(second.dtype) == "text"):
            return [], f"{second.dtype} instead of {first.dtype}"
        return [(first, second)], ""
    if isinstance(first, list) and isinstance(second, list):
        return _aligned_items(list(enumerate(first)), list(enumerate(second)), "length")
    if isinstance(first, dict) and isinstance(second, dict):
        return _aligned_items(list(first.items()), [(k, second[k]) for k in first if k in second], "keys")
    if isinstance(first, int | float | str | np.generic) and isinstance(
        second, int | float | str | np.generic
    ):
        return _aligned(np.atleast_1d(np.asarray(first)), np.atleast_1d(np.asarray(second)))
    if first is None and second is None:
        return [], ""
    return [], f"{type(second).__name__} instead of {type(first).__name__}"


def _aligned_items(
    first: list[tuple[Any, Any]], second: list[tuple[Any, Any]], what: str
) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    if len(first) != len(second):
        return [], f"other {what}"
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for (_, a), (_, b) in zip(first, second, strict=True):
        found, note = _aligned(a, b)
        if note:
            return [], note
        pairs += found
    return pairs, ""


def all_finite(value: Any) -> bool:
    """Whether every number in an output, or in a mapping or list of outputs, is finite."""
    if isinstance(value, Mapping):
        return all(all_finite(v) for v in value.values())
    if isinstance(value, list):
        return all(all_finite(v) for v in value)
    if value is None or family(np.asarray(value).dtype) == "text":
        return True
    return bool(np.isfinite(np.asarray(value).astype(np.float64)).all())


def _ratio(error: float, scale: float) -> float:
    if error == 0:
        return 0.0
    return error / scale if scale > 0 else math.inf


def _cosine(dot: float, first: float, second: float) -> float:
    if first == 0 and second == 0:
        return 1.0
    return float(np.clip(dot / math.sqrt(first * second), -1, 1)) if first > 0 and second > 0 else 0.0
