"""Random crop and horizontal flip, the augmentation of He et al. 2016 for CIFAR-10."""

from __future__ import annotations

import torch
from torch.nn import functional


def crop_and_flip(images: torch.Tensor, generator: torch.Generator, padding: int = 4) -> torch.Tensor:
    """Pad each image with black, cut a window of the old size at a random place, mirror half of them.

    `images`: (n, channels, height, width), any type; randomness comes from `generator` (on the CPU) alone.
    """
    n, _, height, width = images.shape
    dy, dx = torch.randint(0, 2 * padding + 1, (2, n, 1), generator=generator).to(images.device)
    flip = (torch.rand(n, 1, generator=generator) < 0.5).to(images.device)
    rows = torch.arange(height, device=images.device) + dy
    ahead = torch.arange(width, device=images.device)
    columns = torch.where(flip, ahead.flip(0), ahead) + dx
    padded = functional.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    which = torch.arange(n, device=images.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
