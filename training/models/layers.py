"""Pieces shared by the networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int], norm: bool, **options: int) -> nn.Conv2d:
    """A convolution; without a bias when a batch normalisation follows, which has its own."""
    return nn.Conv2d(inputs, outputs, kernel, bias=not norm, **options)


def norm2d(channels: int, norm: bool) -> nn.Module:
    """Batch normalisation of images, or nothing."""
    return nn.BatchNorm2d(channels) if norm else nn.Identity()


def norm1d(features: int, norm: bool) -> nn.Module:
    """Batch normalisation of vectors, or nothing."""
    return nn.BatchNorm1d(features) if norm else nn.Identity()


class Head(nn.Module):
    """Fully connected layers fc1, fc2, … with ReLU, optional batch normalisation and dropout between them."""

    def __init__(self, sizes: Sequence[int], dropout: float, norm: bool) -> None:
        super().__init__()
        self.hidden = len(sizes) - 2
        for k, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
            self.add_module(f"fc{k}", nn.Linear(n_in, n_out))
            if k <= self.hidden:
                self.add_module(f"bn{k}", norm1d(n_out, norm))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, sizes[0]) to logits (n, sizes[-1])."""
        for k in range(1, self.hidden + 1):
            x = self.get_submodule(f"bn{k}")(self.get_submodule(f"fc{k}")(x))
            x = self.dropout(torch.relu(x))
        return self.get_submodule(f"fc{self.hidden + 1}")(x)
