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
    """Fully connected layers fc1, fc2, … with ReLU, optional batch normalisation and dropout between them.

    `dropout_at` says what is dropped: the units of all `hidden` layers, of the `first` or of the `last` of
    them, or the `inputs` of fc1.
    """

    def __init__(self, sizes: Sequence[int], dropout: float, norm: bool, dropout_at: str = "hidden") -> None:
        super().__init__()
        self.hidden = len(sizes) - 2
        for k, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
            self.add_module(f"fc{k}", nn.Linear(n_in, n_out))
            if k <= self.hidden:
                self.add_module(f"bn{k}", norm1d(n_out, norm))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        layers = range(1, self.hidden + 1)
        places = {"hidden": layers, "first": layers[:1], "last": layers[-1:], "inputs": range(1)}
        self.dropped = places[dropout_at]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, sizes[0]) to logits (n, sizes[-1])."""
        x = self._drop(0, x)
        for k in range(1, self.hidden + 1):
            x = self.get_submodule(f"bn{k}")(self.get_submodule(f"fc{k}")(x))
            x = self._drop(k, torch.relu(x))
        return self.get_submodule(f"fc{self.hidden + 1}")(x)

    def _drop(self, k: int, x: torch.Tensor) -> torch.Tensor:
        """Dropout of the units that layer k gives (0: the inputs), where it is asked for."""
        return self.dropout(x) if k in self.dropped else x
