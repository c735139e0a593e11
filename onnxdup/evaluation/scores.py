"""Which output of a classifier holds the answer, and reading class scores from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.errors import InputError
from onnxdup.evaluation.casting import family

_LIKELY = re.compile(r"logit|prob|score|softmax|class|pred", re.I)


@dataclass(frozen=True)
class Scores:
    """Answers of a classifier for a batch: `values` (samples, classes), or `classes` (samples,) where it
    names them.

    `keys` are the class labels of the columns where they are not 0, 1, 2, …
    """

    values: np.ndarray | None = None
    classes: np.ndarray | None = None
    keys: np.ndarray | None = None

    def top(self) -> np.ndarray:
        """The chosen class of each sample; NaN scores choose -1 (no class)."""
        if self.values is None:
            assert self.classes is not None
            return self.classes
        best = np.argmax(np.where(np.isnan(self.values), -np.inf, self.values), axis=1)
        chosen = best if self.keys is None else self.keys[best]
        broken = np.isnan(self.values).any(axis=1)
        return np.where(broken, -1, chosen) if broken.any() and family(chosen.dtype) == "int" else chosen

    def among_top(self, labels: np.ndarray, k: int = 5) -> np.ndarray | None:
        """Whether each label is among the `k` largest scores; None where there are fewer than 2k classes."""
        if self.values is None or self.values.shape[1] < 2 * k:
            return None
        best = np.argpartition(-np.nan_to_num(self.values, nan=-np.inf), k - 1, axis=1)[:, :k]
        chosen = best if self.keys is None else self.keys[best]
        return np.asarray((chosen == np.asarray(labels)[:, None]).any(axis=1))


def read_scores(value: Any) -> Scores | None:
    """The scores in an output, or None where it has no form of a classifier's answer.

    Understood: (samples, classes) and (samples, classes, 1, …), (1, samples) never; one number per sample (a
    binary score: above 0.5 where all lie in [0, 1], else above 0); integers or strings, one per sample; a
    list of dicts (ZipMap).
    """
    if isinstance(value, list):
        return _read_maps(value)
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return None
    while value.ndim > 2 and value.shape[-1] == 1:
        value = value[..., 0]
    kind = family(value.dtype)
    if kind == "float" and value.ndim == 2 and value.shape[1] > 1:
        return Scores(values=value.astype(np.float64))
    if value.ndim > 2 or (value.ndim == 2 and value.shape[1] != 1):
        return None
    flat = value.reshape(-1)
    if kind == "float":
        flat = flat.astype(np.float64)
        threshold = 0.5 if np.all((flat >= 0) & (flat <= 1)) else 0.0
        return Scores(values=np.stack([np.full_like(flat, threshold), flat], axis=1))
    return Scores(classes=flat) if kind in ("int", "bool", "text") else None


def _read_maps(value: list[Any]) -> Scores | None:
    if not value or not all(isinstance(entry, dict) and len(entry) > 1 for entry in value):
        return None
    keys = list(value[0])
    if any(list(entry) != keys for entry in value):
        return None
    return Scores(
        values=np.array([[entry[k] for k in keys] for entry in value], np.float64), keys=np.array(keys)
    )


def class_output(outputs: Mapping[str, Any], samples: int, classes: int = 2) -> str | None:
    """The output that answers for `samples` samples and at least `classes` classes, or None.

    Class scores come before a binary score, and both before named classes; among several, the likelier name,
    then the first.
    """
    ranked = []
    for position, (name, value) in enumerate(outputs.items()):
        scores = read_scores(value)
        if scores is None or len(scores.top()) != samples:
            continue
        columns = 0 if scores.values is None else scores.values.shape[1]
        if columns and columns < classes:
            continue
        binary = isinstance(value, np.ndarray) and (value.ndim < 2 or value.shape[1] == 1)
        ranked.append((columns == 0, binary, not _LIKELY.search(name), position, name))
    return min(ranked)[-1] if ranked else None


def answering_output(outputs: Mapping[str, Any], samples: int, labels: np.ndarray) -> str:
    """`class_output` for a batch of labelled data (`labels`: all of them); an error lists the outputs."""
    classes = int(labels.max()) + 1 if labels.dtype.kind in "iu" and len(labels) else 2
    name = class_output(outputs, samples, max(2, classes))
    if name is not None:
        return name
    shapes = ", ".join(
        f"{k} {v.shape if isinstance(v, np.ndarray) else type(v).__name__}" for k, v in outputs.items()
    )
    raise InputError(
        f"no output gives scores for {samples} samples and {classes} classes (outputs: {shapes})",
        remedy="leave the labels out to compare outputs alone",
    )
