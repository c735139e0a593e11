"""Models meant to mislead the tracer; they stand beside `ARCHITECTURES`, for random relations only."""

from __future__ import annotations

from . import adversarial_images, adversarial_matrices
from .base import Architecture

ADVERSARIAL: dict[str, Architecture] = {
    entry.name: entry for module in (adversarial_matrices, adversarial_images) for entry in module.ENTRIES
}
