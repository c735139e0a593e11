"""The paper's CNN: conv1 - ReLU - pool - conv2 - ReLU - pool - fc 120 - fc 84 - classes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.errors import ConfigError
from training.models.layers import Head, conv, norm2d


class Cnn(nn.Module):
    """Convolutions conv1, conv2, …, each with ReLU and 2×2 max pooling, then fully connected layers.

    Kernels are 5×5 without padding as in the paper; images under 20 pixels get 3×3 with padding. `kernel`
    (height, width) replaces both, without padding.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, ...],
        fc: tuple[int, ...],
        dropout: float,
        norm: bool,
        kernel: tuple[int, ...] = (),
        dropout_at: str = "hidden",
    ) -> None:
        super().__init__()
        channels, *size = shape
        extent, padding = ((5, 5), 0) if min(size) >= 20 else ((3, 3), 1)
        if kernel:
            extent, padding = (kernel[0], kernel[1]), 0
        self.depth = len(widths)
        for number, (n_in, n_out) in enumerate(zip((channels, *widths), widths, strict=False), start=1):
            self.add_module(f"conv{number}", conv(n_in, n_out, extent, norm, padding=padding))
            self.add_module(f"bn{number}", norm2d(n_out, norm))
            size = [(s + 2 * padding - k + 1) // 2 for s, k in zip(size, extent, strict=True)]
        if min(size) < 1:
            raise ConfigError(
                f"--widths has {self.depth} convolutions, too many for images of {shape[1]}×{shape[2]}"
            )
        self.head = Head((widths[-1] * size[0] * size[1], *fc, classes), dropout, norm, dropout_at)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, height, width) to logits (n, classes)."""
        for k in range(1, self.depth + 1):
            x = self.get_submodule(f"bn{k}")(self.get_submodule(f"conv{k}")(x))
            x = functional.max_pool2d(torch.relu(x), 2)
        return self.head(torch.flatten(x, 1))
