"""Matrices and filters as PNG, one pixel per number; whoever shows them scales them up."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.reporting.portrait import Tiles

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.floating[Any]]
_GAP = 2
_LEVELS = 48
_GREY = 0.94
"""Greys stop short of black and white, so that no tile is lost on the page."""
NEGATIVE, ZERO, POSITIVE = (166, 74, 5), (246, 247, 249), (8, 64, 129)
"""Ends and middle of the two-sided scale: orange, near white, blue (told apart by all common kinds of sight,
and in print by the legend)."""


@dataclass(frozen=True)
class Picture:
    """Pixels (h, w, 3) or (h, w, 4), meant to be shown about `shown` CSS pixels wide, with their words."""

    name: str
    title: str
    alt: str
    caption: str
    pixels: Pixels = field(repr=False, compare=False)
    shown: int
    signed: bool = True

    def png(self, *, grown: bool = False) -> bytes:
        """PNG, one pixel per number, or grown to the width it is meant for; it carries the words."""
        grow = max(1, round(self.shown / self.pixels.shape[1])) if grown else 1
        return encode(self.pixels, self.alt if grown else "", grow=grow)


def scale(values: Values) -> Pixels:
    """−1 … 1 as colours (…, 3) of the two-sided scale, in few levels so that files stay small."""
    steps = np.round(np.clip(np.nan_to_num(values), -1, 1) * _LEVELS) / _LEVELS
    weight = np.abs(steps)[..., None]
    ends = np.where(steps[..., None] < 0, np.array(NEGATIVE), np.array(POSITIVE))
    return np.asarray(np.round(ends * weight + np.array(ZERO) * (1 - weight)), np.uint8)


def sheet(tiles: Tiles, across: int) -> Pixels:
    """Tiles in rows of `across` as RGBA (h, w, 4), transparent between them."""
    colours = scale(tiles.pixels) if tiles.signed else _greys(tiles.pixels)
    count, height, width = colours.shape[:3]
    places = max(across, 1)
    down = ceil(count / places)
    gap = _GAP if min(height, width) > 12 else 1
    out = np.zeros((down * (height + gap) - gap, min(count, places) * (width + gap) - gap, 4), np.uint8)
    for number in range(count):
        top, left = (number // places) * (height + gap), (number % places) * (width + gap)
        out[top : top + height, left : left + width, :3] = colours[number]
        out[top : top + height, left : left + width, 3] = 255
    return out


def _greys(pixels: npt.NDArray[np.float32]) -> Pixels:
    """−1 … 1 as dark to light; colour images channel by channel."""
    levels = np.round((np.clip(pixels, -1, 1) * _GREY + 1) * 127.5).astype(np.uint8)
    return levels if levels.ndim == 4 else np.repeat(levels[..., None], 3, axis=3)


def encode(pixels: Pixels, words: str = "", *, grow: int = 1) -> bytes:
    """PNG of (h, w, 3) or (h, w, 4), with a palette where few colours allow it; each pixel `grow` wide."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    grown = pixels.repeat(grow, axis=0).repeat(grow, axis=1) if grow > 1 else pixels
    image, facts, out = Image.fromarray(grown), PngInfo(), BytesIO()
    if pixels.shape[2] == 3:
        image = image.quantize(256, dither=Image.Dither.NONE)
    if words:
        facts.add_itxt("Description", words)
    image.save(out, "PNG", optimize=True, pnginfo=facts)
    return out.getvalue()
