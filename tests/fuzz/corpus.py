"""What the fuzzer starts from: the architectures of the tests, the samples, and any folder of models."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from mutations import Seed
from onnx import ModelProto, external_data_helper

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))
LARGEST = 600_000
"""Bytes of a model from a folder: larger ones are slow and teach nothing new."""


def corpus(folders: Iterable[Path] = (), largest: int = LARGEST) -> list[Seed]:
    """Seeds, the same in every run."""
    from architectures import ARCHITECTURES

    seeds = []
    for name, entry in sorted(ARCHITECTURES.items()):
        model = entry.model()
        seeds.append(Seed(name, model.SerializeToString()))
        if len(seeds) % 4 == 0:
            seeds.append(_external(name, model))
    for folder in (ROOT / "samples", *folders):
        small = [p for p in sorted(folder.glob("*.onnx")) if p.stat().st_size <= largest]
        seeds += [Seed(path.stem, path.read_bytes()) for path in small]
    return seeds


def _external(name: str, model: ModelProto) -> Seed:
    """The same model with its weights in a data file."""
    copy = ModelProto.FromString(model.SerializeToString())
    data = bytearray()
    for tensor in copy.graph.initializer:
        if tensor.HasField("raw_data"):
            content = tensor.raw_data
            external_data_helper.set_external_data(tensor, "m.data", len(data), len(content))
            tensor.ClearField("raw_data")
            data += content
    return Seed(f"{name} (external)", copy.SerializeToString(), {"m.data": bytes(data)})
