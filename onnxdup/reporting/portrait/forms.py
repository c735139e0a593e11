"""How a filter becomes a small picture: an image in the model's input shape, kernels, or a signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isqrt, prod

import numpy as np
import numpy.typing as npt

from onnxdup.channels import Layer
from onnxdup.reporting.portrait.values import Tiles
from onnxdup.reporting.portrait.views import ImageView

Pixels = npt.NDArray[np.float32]
Rows = npt.NDArray[np.generic]
CONVOLUTIONS = ("Conv", "FusedConv", "ConvInteger", "QLinearConv")
SHOWN_CHANNELS = 16
SHOWN_INPUTS = 256
LARGEST_SIDE = 48
LARGEST_KERNEL = 16
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Form:
    """How the filters of one layer are drawn: rows (n, d) → pixels (n, h, w) or (n, h, w, 3)."""

    words: str
    signed: bool
    arrange: Callable[[Pixels], Pixels]

    def tiles(self, rows: Rows) -> Tiles:
        """Rows (n, d) as pictures, each scaled by its own largest magnitude."""
        pixels = self.arrange(np.nan_to_num(rows.astype(np.float32), posinf=0, neginf=0))
        peaks = np.abs(pixels).max(axis=tuple(range(1, pixels.ndim)), keepdims=True, initial=0)
        scaled = np.divide(pixels, peaks, out=np.zeros_like(pixels), where=peaks > 0)
        return Tiles(scaled, self.signed, self.words)


def form_of(layer: Layer, rows: Rows, view: ImageView | None) -> Form:
    """The most telling form: an image where the layer reads one, else kernels, else a folded signature."""
    kernel = layer.shape[1:] if layer.op_type in CONVOLUTIONS and len(layer.shape) > 2 else ()
    if prod(kernel) != rows.shape[1]:
        kernel = ()
    if view is not None and kernel and kernel[0] == view.channels:
        return _image((view.channels, *_flat_2d(kernel[1:])), None)
    if view is not None and view.index is not None and len(view.index) == rows.shape[1]:
        return _image((view.channels, view.height, view.width), view.index)
    if kernel and prod(kernel[1:]) > 1 and max(_flat_2d(kernel[1:])) <= LARGEST_KERNEL:
        return _kernels(rows, kernel[0], *_flat_2d(kernel[1:]))
    return _signature(rows)


def _flat_2d(sizes: tuple[int, ...]) -> tuple[int, int]:
    return (1, sizes[0]) if len(sizes) == 1 else (prod(sizes[:-1]), sizes[-1])


def _image(shape: tuple[int, int, int], index: npt.NDArray[np.intp] | None) -> Form:
    channels, height, width = shape
    step = ceil(max(height, width) / LARGEST_SIDE)

    def arrange(rows: Pixels) -> Pixels:
        flat = rows
        if index is not None:
            flat = np.empty_like(rows)
            flat[:, index] = rows
        images = _reduced(flat.reshape(len(rows), channels, height, width), step)
        return images[:, 0] if channels == 1 else np.moveaxis(images, 1, -1)

    colour = "grey" if channels == 1 else "colour"
    reduced = f", reduced {step}-fold" if step > 1 else ""
    return Form(f"{height} × {width} {colour} images{reduced}", False, arrange)


def _reduced(images: Pixels, step: int) -> Pixels:
    """Means of step × step pixels (fewer across a short side); what is left at the border is cut off."""
    if step == 1:
        return images
    n, c, h, w = images.shape
    a, b = min(step, h), min(step, w)
    cut = images[:, :, : h // a * a, : w // b * b]
    return np.asarray(cut.reshape(n, c, h // a, a, w // b, b).mean(axis=(3, 5)), np.float32)


def _kernels(rows: Rows, channels: int, height: int, width: int) -> Form:
    energy = _energy(rows).reshape(channels, -1).sum(axis=1)
    chosen = _strongest(energy, SHOWN_CHANNELS)
    across = len(chosen) if len(chosen) <= 4 else ceil(len(chosen) ** 0.5)
    down = ceil(len(chosen) / across)

    def arrange(some: Pixels) -> Pixels:
        kernels = some.reshape(len(some), channels, height, width)[:, chosen]
        pixels = np.zeros((len(some), down * (height + 1) - 1, across * (width + 1) - 1), np.float32)
        for number in range(len(chosen)):
            top, left = (number // across) * (height + 1), (number % across) * (width + 1)
            pixels[:, top : top + height, left : left + width] = kernels[:, number]
        return pixels

    which = (
        f"the {len(chosen)} strongest of {channels} input channels"
        if channels > len(chosen)
        else (f"{channels} input channels" if channels > 1 else "one input channel")
    )
    return Form(f"{height} × {width} kernels of {which}", True, arrange)


def _signature(rows: Rows) -> Form:
    count = rows.shape[1]
    chosen = _strongest(_energy(rows), SHOWN_INPUTS)
    across = max(isqrt(max(len(chosen) - 1, 0)) + 1, 1)
    down = max(ceil(len(chosen) / across), 1)

    def arrange(some: Pixels) -> Pixels:
        pixels = np.zeros((len(some), down * across), np.float32)
        pixels[:, : len(chosen)] = some[:, chosen]
        return pixels.reshape(len(some), down, across)

    which = f"the {len(chosen)} strongest of {count:,}" if count > len(chosen) else f"all {count}"
    return Form(f"signatures: {which} weights of each filter, in rows of {across}", True, arrange)


def _strongest(energy: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.intp]:
    """Places of the largest values, ascending."""
    return np.sort(np.argsort(-energy, kind="stable")[:most])


def _energy(rows: Rows) -> npt.NDArray[np.float64]:
    """Sum of squares of every column (d,), a block of rows at a time."""
    step = max(1, _CHUNK // max(rows.shape[1], 1))
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), step):
        part = np.nan_to_num(rows[start : start + step].astype(np.float64), posinf=0, neginf=0)
        total += np.einsum("ij,ij->j", part, part)
    return total
