"""The paper's multi-layer perceptron, inputs-{100, 500, 1000}-100-classes, or any other widths."""

from __future__ import annotations

from math import prod

import torch

from training.models.layers import Head


class Mlp(Head):
    """Fully connected layers fc1, fc2, … with ReLU between them, on the flattened image."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, ...],
        dropout: float,
        norm: bool,
        dropout_at: str = "hidden",
    ) -> None:
        super().__init__((prod(shape), *widths, classes), dropout, norm, dropout_at)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, height, width) to logits (n, classes)."""
        return super().forward(torch.flatten(x, 1))
