"""ResNet for small images (He et al. 2016, 4.2): depth 6n + 2, three stages, projection shortcuts."""

from __future__ import annotations

import torch
from torch import nn

from training.errors import ConfigError
from training.models.layers import conv, norm2d


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut, which is a strided 1×1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, norm, stride=stride, padding=1)
        self.bn1 = norm2d(outputs, norm)
        self.conv2 = conv(outputs, outputs, 3, norm, padding=1)
        self.bn2 = norm2d(outputs, norm)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                conv(inputs, outputs, 1, norm, stride=stride), norm2d(outputs, norm)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        h = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(h + self.shortcut(x))


class ResNet(nn.Module):
    """Depth 8, 20, 32, 44, 56, …: a convolution, stages of n blocks per width, global average pooling, fc."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        depth: int,
        widths: tuple[int, ...],
        dropout: float,
        norm: bool,
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ConfigError(f"--depth is {depth}, but a ResNet has 6n + 2 layers: 8, 20, 32, 44, 56, …")
        self.conv1 = conv(shape[0], widths[0], 3, norm, padding=1)
        self.bn1 = norm2d(widths[0], norm)
        self.stages = nn.Sequential(
            *(
                _stage(n_in, n_out, depth // 6, 2 if k else 1, norm)
                for k, (n_in, n_out) in enumerate(zip((widths[0], *widths), widths, strict=False))
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (n, channels, height, width) to logits (n, classes)."""
        x = self.stages(torch.relu(self.bn1(self.conv1(x))))
        return self.fc(self.dropout(torch.flatten(self.pool(x), 1)))


def _stage(inputs: int, outputs: int, blocks: int, stride: int, norm: bool) -> nn.Sequential:
    first = Block(inputs, outputs, stride, norm)
    return nn.Sequential(first, *(Block(outputs, outputs, 1, norm) for _ in range(blocks - 1)))
