"""Accuracy of a classifier on labelled data, sample by sample so that two models can be paired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxdup.errors import InputError
from onnxdup.evaluation.scores import answering_output, read_scores
from onnxdup.evaluation.statistics import Interval, wilson


@dataclass(frozen=True)
class Accuracy:
    """Share of samples whose label is the first (`top1`) or among the first five (`top5`) of the scores.

    `right` (samples,) says of each sample whether the first answer is its label; `output` names the output
    that was read; `top1_interval` is Wilson's. Samples with NaN scores are wrong.
    """

    samples: int
    top1: float
    top1_interval: Interval
    top5: float | None
    output: str
    right: np.ndarray = field(repr=False, compare=False)


@dataclass
class AccuracyMeter:
    """Collects batches; `output` is chosen at the first one unless it is given."""

    labels: np.ndarray
    output: str | None = None
    confidence: float = 0.95
    _right: list[np.ndarray] = field(default_factory=list)
    _top5: list[np.ndarray | None] = field(default_factory=list)
    _seen: int = 0

    def add(self, outputs: Mapping[str, Any], samples: int) -> None:
        """Count a batch whose outputs answer for the next `samples` samples."""
        if self.output is None:
            self.output = answering_output(outputs, samples, self.labels)
        if self.output not in outputs:
            raise InputError(
                f"the model has no output {self.output!r}", remedy=f"it has {', '.join(outputs)}"
            )
        scores = read_scores(outputs[self.output])
        if scores is None or len(scores.top()) != samples:
            raise InputError(f"no class scores for {samples} samples", tensor=self.output)
        labels = self.labels[self._seen : self._seen + samples]
        self._right.append(np.asarray(scores.top() == labels))
        self._top5.append(scores.among_top(labels))
        self._seen += samples

    def result(self) -> Accuracy:
        """The accuracy over all batches so far."""
        right = np.concatenate(self._right) if self._right else np.zeros(0, bool)
        top5 = [t for t in self._top5 if t is not None]
        return Accuracy(
            samples=len(right),
            top1=float(right.mean()) if len(right) else 0.0,
            top1_interval=wilson(int(right.sum()), len(right), self.confidence),
            top5=float(np.concatenate(top5).mean()) if top5 and len(top5) == len(self._right) else None,
            output=self.output or "",
            right=right,
        )
