"""Which layers look at the model's input as an image, and where each of their weights lies in it.

From the layer back to a graph input through operators that keep or move elements; then the numbers of the
input's elements are sent forward through the same moves (the operator is the rule).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from onnxdup.graph import Document, Node

KEEPING = frozenset(
    (
        *("Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div", "Dropout"),
        *("Identity", "ImageScaler", "Mul", "Pow", "Quant", "QuantizeLinear", "Relu", "Sqrt", "Sub"),
    )
)
"""Operators behind which every element still stands where it stood."""
RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
PADDING = frozenset({"Crop", "InstanceNormalization", "Pad", "Resize", "Upsample"})
"""Operators behind which the colours still are where they were; enough for a convolution."""
IMAGE_CHANNELS = (1, 3)
SMALLEST = 3
"""Pixels of an image's side; what is narrower is a list of numbers."""
_LONGEST_PATH = 12
Shape = tuple[int | None, ...]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ImageView:
    """A layer that reads an image: its size, and the place of every element the layer reads.

    `index` (elements,) counts places in (channels, height, width) order; None where the layer reads windows
    of the image (a convolution).
    """

    channels: int
    height: int
    width: int
    index: Indices | None


def image_view(document: Document, node: str, shapes: Mapping[str, Shape]) -> ImageView | None:
    """How a layer's node reads a graph input as an image; None where it does not."""
    found = next((n for n in document.nodes if n.name == node), None)
    if found is None:
        return None
    walked = _path(document, found)
    if walked is None:
        return None
    source, path = walked
    shape = shapes.get(source)
    image = None if shape is None else _image(shape)
    if image is None:
        return None
    if image.index is None or any(n.op_type in PADDING for n in path):
        return ImageView(image.channels, 0, 0, None)
    moved = _moved(image.index, path, shapes)
    if moved is None:
        return None
    return ImageView(image.channels, image.height, image.width, moved.ravel())


def _path(document: Document, node: Node) -> tuple[str, list[Node]] | None:
    """The graph input behind a node and the operators between them, in forward order."""
    inputs = {v.name for v in document.inputs}
    path: list[Node] = []
    for _ in range(_LONGEST_PATH):
        value = _data(document, node)
        if value is None or value in inputs:
            return None if value is None else (value, path[::-1])
        made = document.producer_of(value)
        if made is None or made.op_type not in KEEPING | RESHAPING | PADDING | {"Transpose"}:
            return None
        path.append(made)
        node = made
    return None


def _data(document: Document, node: Node) -> str | None:
    """The input that depends on the model's input, where that is one."""
    return next((x for x in node.inputs if x and x not in document.weights), None)


def _image(shape: Shape) -> ImageView | None:
    """Channels first or last, with or without a batch axis; unknown sizes leave the places open."""
    sizes = shape[1:] if len(shape) == 4 or (len(shape) == 3 and shape[0] not in IMAGE_CHANNELS) else shape
    if len(sizes) == 2:
        sizes = (1, *sizes)
    if len(sizes) != 3:
        return None
    if sizes[0] in IMAGE_CHANNELS:
        channels, height, width = sizes
        order = (0, 1, 2)
    elif sizes[2] in IMAGE_CHANNELS:
        height, width, channels = sizes
        order = (1, 2, 0)
    else:
        return None
    if min(height or SMALLEST, width or SMALLEST) < SMALLEST:
        return None
    if channels is None or height is None or width is None:
        return ImageView(channels or 0, 0, 0, None)
    places = np.arange(channels * height * width).reshape(channels, height, width).transpose(order)
    batch = (1,) if len(shape) == 4 or (len(shape) == 3 and shape[0] not in IMAGE_CHANNELS) else ()
    return ImageView(channels, height, width, places.reshape(*batch, *(s or 1 for s in shape[len(batch) :])))


def _moved(places: Indices, path: list[Node], shapes: Mapping[str, Shape]) -> Indices | None:
    for node in path:
        if node.op_type == "Transpose":
            axes = node.attrs.get("perm", tuple(reversed(range(places.ndim))))
            if len(axes) != places.ndim or axes[0] != 0:
                return None
            places = places.transpose(axes)
        elif node.op_type in RESHAPING:
            sizes = _sizes(shapes.get(node.outputs[0]), places.size)
            places = places.reshape(sizes)
    return places


def _sizes(shape: Shape | None, elements: int) -> tuple[int, ...]:
    """The shape of one sample; all elements in a row where it is not known."""
    if shape is None or not shape:
        return (1, elements)
    sizes = (1, *(s if s is not None else -1 for s in shape[1:]))
    known = prod(s for s in sizes if s > 0)
    if sizes.count(-1) > 1 or known == 0 or elements % known or (-1 not in sizes and known != elements):
        return (1, elements)
    return sizes
