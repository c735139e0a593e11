"""The moment sketch: what calibration data taught about the values that weights read, kept in the model file.

Per value the mean of each channel, the variance, a few principal directions of the covariance, and how alike
neighbouring positions are. A deployment then knows its data without having them. It is one entry of the
model's metadata, JSON with base64 of little-endian float32.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.graph import Document
from onnxdup.merging.moments.feeds import Known
from onnxdup.merging.plan import Array

KEY = "onnxdup.moments"
VERSION = 1
RANK = 16
SHARE = 0.95
"""Share of the covariance beside its diagonal that the principal directions are to hold, up to `RANK`."""


@dataclass
class Sums:
    """Running sums over positions of one value: (channels,) and (channels, channels), neighbours aside."""

    count: int
    x: Array
    xx: Array
    near: Array
    pairs: int = 0

    @classmethod
    def empty(cls, channels: int) -> Sums:
        """Nothing seen."""
        return cls(0, np.zeros(channels), np.zeros((channels, channels)), np.zeros(channels))

    def add(self, rows: Array, left: Array | None, right: Array | None) -> None:
        """Positions (rows, channels), and pairs of neighbouring ones."""
        self.count += len(rows)
        self.x += rows.sum(0)
        self.xx += rows.T @ rows
        if left is not None and right is not None:
            self.near += (left * right).sum(0)
            self.pairs += len(left)

    def known(self) -> Known:
        """Mean, covariance and likeness of neighbours."""
        mean = self.x / self.count
        covariance = self.xx / self.count - np.outer(mean, mean)
        if not self.pairs:
            return Known(mean, covariance)
        power = max(float(np.trace(covariance)), 1e-30)
        alike = float((self.near / self.pairs - mean**2).sum()) / power
        return Known(mean, covariance, float(np.clip(alike, 0.0, 0.999)))


def stored_moments(document: Document) -> dict[str, Known]:
    """The sketch of a model by the names of values; nothing where there is none, or none that can be read."""
    text = document.metadata.get(KEY)
    if text is None:
        return {}
    try:
        held = json.loads(text)
        if held["version"] != VERSION:
            return {}
        return {str(name): _known(entry) for name, entry in held["values"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return {}


def sketch_text(known: Mapping[str, Known]) -> str:
    """The metadata entry that holds a sketch."""
    values = {name: _entry(k) for name, k in known.items()}
    return json.dumps({"version": VERSION, "values": values}, allow_nan=False, separators=(",", ":"))


def _entry(known: Known) -> dict[str, Any]:
    mean, covariance = known.mean, known.covariance
    if mean is None or covariance is None:
        raise ValueError("a sketch holds means and covariances")
    factor = principal(covariance)
    rest = np.maximum(np.diag(covariance) - (factor**2).sum(1), 0.0)
    entry: dict[str, Any] = {"mean": _text(mean), "rest": _text(rest), "factor": _text(factor)}
    return entry if known.space is None else {**entry, "space": round(known.space, 4)}


def principal(covariance: Array) -> Array:
    """(channels, r): the fewest directions, at most `RANK`, that hold `SHARE` of what is off the diagonal."""
    values, vectors = np.linalg.eigh(covariance)
    factor = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0.0))
    wanted = float(((covariance - np.diag(np.diag(covariance))) ** 2).sum())
    for rank in range(min(RANK, len(covariance)) + 1):
        left = covariance - factor[:, :rank] @ factor[:, :rank].T
        if float(((left - np.diag(np.diag(left))) ** 2).sum()) <= (1 - SHARE) * wanted:
            break
    return np.asarray(factor[:, :rank])


def _known(entry: Mapping[str, Any]) -> Known:
    mean, rest = _array(entry["mean"]), _array(entry["rest"])
    factor = _array(entry["factor"]).reshape(len(mean), -1) if len(mean) else np.zeros((0, 0))
    if rest.shape != mean.shape or not all(np.isfinite(a).all() for a in (mean, rest, factor)):
        raise ValueError("a damaged sketch")
    space = float(entry["space"]) if "space" in entry else None
    if space is not None and not 0 <= space <= 1:
        raise ValueError("a damaged sketch")
    return Known(mean, factor @ factor.T + np.diag(rest), space)


def _text(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def _array(text: str) -> Array:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float64)
