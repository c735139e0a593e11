"""Top-1 answers of a model, through onnxruntime on one thread, and how they are stored and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

BATCH = 250
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Images and labels of a fixed test split: the first `limit` of a file (all of them: 0)."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]

    @classmethod
    def read(cls, path: Path, limit: int = 0) -> Split:
        """From an .npz with x and y."""
        with np.load(path) as held:
            return cls(held["x"][: limit or None], held["y"][: limit or None])


def session(model: str | bytes) -> onnxruntime.InferenceSession:
    """A session on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def right(model: str | bytes, split: Split) -> Bits:
    """Which images the model classifies correctly: (n,)."""
    runner = session(model)
    name = runner.get_inputs()[0].name
    starts = range(0, len(split.y), BATCH)
    answers = [runner.run(None, {name: split.x[k : k + BATCH]})[0].argmax(1) for k in starts]
    return np.concatenate(answers) == split.y


def packed(bits: Bits) -> str:
    """Text of a vector of bits."""
    return np.packbits(bits).tobytes().hex()


def unpacked(text: str, count: int) -> Bits:
    """Inverse of `packed`."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)
