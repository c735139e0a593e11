"""A small VGG (Simonyan & Zisserman 2015): pairs of 3×3 convolutions with pooling, then a classifier."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from training.models.layers import Head, conv, norm2d


class Vgg(nn.Module):
    """conv1, conv2, … with ReLU; 2×2 max pooling after every second one while 4 pixels or more are left."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, ...],
        fc: tuple[int, ...],
        dropout: float,
        norm: bool,
        dropout_at: str = "hidden",
    ) -> None:
        super().__init__()
        self.pooled: list[bool] = []
        height, width = shape[1:]
        for k, (n_in, n_out) in enumerate(zip((shape[0], *widths), widths, strict=False), start=1):
            self.add_module(f"conv{k}", conv(n_in, n_out, 3, norm, padding=1))
            self.add_module(f"bn{k}", norm2d(n_out, norm))
            self.pooled.append(k % 2 == 0 and min(height, width) >= 4)
            if self.pooled[-1]:
                height, width = height // 2, width // 2
        self.head = Head((widths[-1] * height * width, *fc, classes), dropout, norm, dropout_at)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, height, width) to logits (n, classes)."""
        for k, pooled in enumerate(self.pooled, start=1):
            x = torch.relu(self.get_submodule(f"bn{k}")(self.get_submodule(f"conv{k}")(x)))
            if pooled:
                x = functional.max_pool2d(x, 2)
        return self.head(torch.flatten(x, 1))
