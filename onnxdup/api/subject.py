"""What the results of a search depend on: a file that remembers them is of use for the same subject alone."""

from __future__ import annotations

import hashlib
from typing import Any

from onnxdup import __version__
from onnxdup.api.verification import Runs
from onnxdup.evaluation.data import Dataset
from onnxdup.evaluation.source import MadeUpSource
from onnxdup.graph import Document
from onnxdup.reduce.meter import Meter


def subject(document: Document, meter: Meter, runs: Runs, *, remembered: bool) -> dict[str, Any]:
    """The part that all searches share, as JSON values; data are hashed only to be `remembered`."""
    return {
        "onnxdup": __version__,
        "source": document.sha256(),
        "data": _fingerprint(meter) if remembered else "",
        "seed": runs.seed,
        "provider": runs.provider,
    }


def hashed(data: Dataset) -> str:
    """Hash of a data set."""
    found = hashlib.blake2b()
    arrays = {**data.inputs, **({} if data.labels is None else {"labels": data.labels})}
    for name, array in sorted(arrays.items()):
        found.update(f"{name}{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _fingerprint(meter: Meter) -> str:
    """Hash of the samples that a meter runs on."""
    if isinstance(meter.source, MadeUpSource):
        return f"made up: {meter.source.samples}"
    return hashed(meter.source.batching.dataset)
