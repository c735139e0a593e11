"""The paper's AlexNet variant for 32×32 images: convolutions 64, 192, 384, 256, 256 and one linear layer."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.errors import ConfigError
from training.models.layers import conv, norm2d

_KERNELS = ((11, 4, 5), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
"""Kernel, stride and padding of conv1 … conv5."""
_POOLED = (1, 2, 5)


class AlexNet(nn.Module):
    """conv1 (11×11, stride 4) … conv5 with ReLU, 2×2 max pooling after 1, 2 and 5, then fc."""

    def __init__(
        self, shape: tuple[int, int, int], classes: int, widths: tuple[int, ...], dropout: float, norm: bool
    ) -> None:
        super().__init__()
        if len(widths) != 5:
            raise ConfigError(f"--widths names {len(widths)} widths, but alexnet has five convolutions")
        if min(shape[1:]) < 32:
            raise ConfigError(
                f"alexnet needs images of 32×32 or more, not {shape[1]}×{shape[2]}; take cnn or vgg"
            )
        for k, (n_in, n_out) in enumerate(zip((shape[0], *widths), widths, strict=False), start=1):
            kernel, stride, padding = _KERNELS[k - 1]
            self.add_module(f"conv{k}", conv(n_in, n_out, kernel, norm, stride=stride, padding=padding))
            self.add_module(f"bn{k}", norm2d(n_out, norm))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.fc = nn.Linear(widths[-1] * (shape[1] // 32) * (shape[2] // 32), classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, height, width) to logits (n, classes)."""
        for k in range(1, 6):
            x = torch.relu(self.get_submodule(f"bn{k}")(self.get_submodule(f"conv{k}")(x)))
            if k in _POOLED:
                x = functional.max_pool2d(x, 2)
        return self.fc(self.dropout(torch.flatten(x, 1)))
