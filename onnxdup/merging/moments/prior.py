"""What is assumed of inputs where no data say it: white, or smooth in space and alike in colour.

Neighbouring pixels of natural images correlate by about 0.95 per pixel, the activations of convolutional
layers by about 0.8; colour channels by about 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.channels import Trace
from onnxdup.channels.ids import Shape
from onnxdup.channels.tracer import Source
from onnxdup.graph import Node
from onnxdup.merging.plan import Array

IMAGE, FEATURE, COLOUR = 0.95, 0.8, 0.9
MOVES = frozenset({"Flatten", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Cast", "Dropout"})


@dataclass(frozen=True)
class Prior:
    """Correlation r^distance between pixels, `colour` between input channels."""

    space: float
    colour: float


def distances(shape: Shape, offset: tuple[float, ...]) -> Array:
    """Euclidean distance between positions u and v + offset of a box: (positions, positions)."""
    axes = np.meshgrid(*(np.arange(d) for d in shape), indexing="ij")
    place = np.stack([a.ravel() for a in axes], 1).astype(np.float64)
    apart = place[:, None, :] - place[None, :, :] - np.asarray(offset)
    return np.asarray(np.sqrt((apart**2).sum(-1)))


def reads_image(trace: Trace, name: str) -> Shape | None:
    """(channels, height, width) where a value is the model's image input, moved but not changed."""
    document = trace.document
    inputs = {v.name for v in document.inputs}
    while name not in inputs:
        node = document.producer_of(name)
        if node is None or node.op_type not in MOVES:
            return None
        name = node.inputs[0]
    shape = trace.shapes.get(name, ())
    return shape[1:] if len(shape) == 4 and shape[1] <= 4 and min(shape[2:]) > 1 else None


def row_covariance(trace: Trace, source: Source, rows: Array, offset: tuple[int, int] = (0, 0)) -> Array:
    """Covariance of the pre-activations of a layer at two positions `offset` apart: (channels, channels).

    rows is (channels, d) with d = inputs · kernel positions for a convolution, features for a Gemm.
    """
    node, weight = source.node, source.use.constant.shape
    image = reads_image(trace, node.inputs[0])
    if len(weight) > 2 and node.op_type == "Conv":
        prior = Prior(IMAGE, COLOUR) if image is not None else Prior(FEATURE, 0.0)
        return _convolved(rows, weight, prior, _strides(node), offset)
    if image is not None and int(np.prod(image)) == rows.shape[1]:
        return _covered(rows, image, Prior(IMAGE, COLOUR))
    return np.asarray(rows @ rows.T)


def _strides(node: Node) -> tuple[int, ...]:
    return tuple(int(s) for s in node.attrs.get("strides", ())) or (1,)


def _convolved(
    rows: Array, weight: Shape, prior: Prior, strides: tuple[int, ...], offset: tuple[int, int]
) -> Array:
    kernel = weight[2:]
    shift = tuple(float(o * s) for o, s in zip(offset, (*strides, 1, 1), strict=False))[: len(kernel)]
    near = prior.space ** distances(kernel, shift)
    return _quadratic(rows.reshape(len(rows), weight[1], -1), near, prior.colour)


def _covered(rows: Array, image: Shape, prior: Prior) -> Array:
    return _quadratic(
        rows.reshape(len(rows), image[0], -1), prior.space ** distances(image[1:], (0.0, 0.0)), prior.colour
    )


def _quadratic(w: Array, near: Array, colour: float) -> Array:
    """Σ w_i[a, u] C[a, b] near[u, v] w_j[b, v] with C = (1 − colour) I + colour."""
    n = len(w)
    alone = (w @ near).reshape(n, -1) @ w.reshape(n, -1).T
    if colour == 0.0:
        return np.asarray(alone)
    total = w.sum(1)
    return np.asarray((1 - colour) * alone + colour * (total @ near) @ total.T)
