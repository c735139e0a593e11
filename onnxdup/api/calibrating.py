"""The job behind `calibrate`: what data teach about a model's layers, stored in the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from onnxdup.evaluation.data import as_dataset
from onnxdup.graph import Document, write
from onnxdup.merging.moments.sketch import KEY, stored_moments
from onnxdup.reduce.sketching import sketched

Say = Callable[[str], None]


@dataclass(frozen=True)
class Calibrated:
    """A model with its moment sketch: `values` of them, `nbytes` of metadata, from `samples` samples."""

    document: Document = field(repr=False)
    samples: int
    values: int
    nbytes: int

    def save(self, path: str | Path, *, in_place: bool = False) -> Path:
        """Writes the model; returns the path."""
        return write(self.document, path, in_place=in_place)[0]


def run(
    document: Document, data: object, *, samples: int | None, seed: int, provider: str, say: Say | None = None
) -> Calibrated:
    """Measures and stores. Raises CannotVerify where the model does not run on the data."""
    chosen = as_dataset(data, document).take(samples, seed)
    result = sketched(document, chosen, provider=provider, say=say)
    size = len(result.metadata[KEY].encode())
    return Calibrated(result, len(chosen), len(stored_moments(result)), size)
