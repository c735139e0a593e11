"""Input scaling: bytes to the float32 numbers that the network sees.

Scaling is part of the data, not of the exported graph: the ONNX model takes x as scaled here, the evaluation
.npz holds x scaled, and the constants are written into the model's metadata (key ``training.scaling``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from training.data import ImageSet


@dataclass(frozen=True)
class Scaling:
    """x = (bytes / maximum - mean) / std, `mean` and `std` per channel.

    `raw`: mean 0, std 1, so x in [0, 1]; `symmetric`: both 1/2, so x in [-1, 1]; `centred`: the channel means
    of the training images; `standardised`: also their standard deviations.
    """

    mode: str
    maximum: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, mode: str, data: ImageSet) -> Scaling:
        """The scaling of `mode` with the constants of the training images."""
        mean, std = _moments(data.x_train, data.maximum)
        zeros, halves, ones = ((value,) * len(mean) for value in (0.0, 0.5, 1.0))
        constants = {
            "raw": (zeros, ones),
            "symmetric": (halves, halves),
            "centred": (mean, ones),
            "standardised": (mean, std),
        }
        return cls(mode, data.maximum, *constants[mode])

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """Bytes (n, channels, height, width) to float32 of the same shape, on the device of `images`."""
        x = images.to(torch.float32) / self.maximum
        if self.mode == "raw":
            return x
        shape = (1, -1, 1, 1)
        return (x - x.new_tensor(self.mean).view(shape)) / x.new_tensor(self.std).view(shape)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def _moments(images: np.ndarray, maximum: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Exact per-channel mean and standard deviation of images / maximum, from the histogram of the bytes."""
    levels = np.arange(256) / maximum
    means, stds = [], []
    for channel in range(images.shape[1]):
        share = np.bincount(images[:, channel].reshape(-1), minlength=256) / images[:, channel].size
        mean = float(share @ levels)
        means.append(mean)
        stds.append(float(np.sqrt(share @ (levels - mean) ** 2)) or 1.0)
    return tuple(means), tuple(stds)
