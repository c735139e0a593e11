"""What a chain of operators makes of a constant: numpy semantics of data movement, arithmetic,
quantisation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.channels.ids import Shape
from onnxdup.channels.quantised import dequantised, qonnx, quantised
from onnxdup.graph import Node
from onnxdup.graph.tensors import dtype_of

Numeric = npt.NDArray[np.generic]


def permutation(node: Node, rank: int) -> tuple[int, ...]:
    """Axes of a Transpose."""
    return tuple(node.attrs.get("perm", range(rank)[::-1]))


def named_axes(node: Node, values: list[Numeric]) -> tuple[int, ...] | None:
    """Axes of Squeeze and Unsqueeze, from the attribute or the second input."""
    if "axes" in node.attrs:
        return tuple(int(k) for k in node.attrs["axes"])
    return tuple(int(k) for k in np.ravel(values[1])) if len(values) > 1 else None


def _squeeze(node: Node, x: Numeric, *axes: Numeric) -> Numeric:
    return np.squeeze(x, named_axes(node, [x, *axes]))


def _unsqueeze(node: Node, x: Numeric, *axes: Numeric) -> Numeric:
    return np.expand_dims(x, named_axes(node, [x, *axes]) or (0,))


def target_shape(node: Node, before: Shape, wanted: npt.ArrayLike) -> Shape:
    """Shape that `Reshape` makes of `before`: 0 copies a dimension (unless allowzero), -1 is computed."""
    dims = [int(d) for d in np.ravel(wanted)]
    if not node.attrs.get("allowzero", 0):
        dims = [before[k] if d == 0 and k < len(before) else d for k, d in enumerate(dims)]
    if -1 in dims:
        rest = int(np.prod([d for d in dims if d != -1])) or 1
        dims[dims.index(-1)] = int(np.prod(before)) // rest
    return tuple(dims)


def _reshape(node: Node, x: Numeric, shape: Numeric | None = None) -> Numeric:
    wanted = node.attrs["shape"] if shape is None else shape
    return x.reshape(target_shape(node, x.shape, wanted))


def _flatten(node: Node, x: Numeric) -> Numeric:
    axis = node.attrs.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _cast(node: Node, x: Numeric, like: Numeric | None = None) -> Numeric:
    dtype = like.dtype if like is not None else dtype_of(int(node.attrs["to"]))
    return x.astype(dtype)


def _filled(node: Node, shape: Numeric) -> Numeric:
    value = np.asarray(node.attrs.get("value", np.zeros(1, np.float32)))
    return np.full([int(d) for d in np.ravel(shape)], value.reshape(-1)[0], value.dtype)


def _expand(node: Node, x: Numeric, shape: Numeric) -> Numeric:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(d) for d in np.ravel(shape))))


def _gather(node: Node, x: Numeric, indices: Numeric) -> Numeric:
    return np.take(x, indices.astype(np.int64), axis=node.attrs.get("axis", 0))


def _slice(node: Node, x: Numeric, *bounds: Numeric) -> Numeric:
    from onnxdup.channels.rules.movement import slices

    return x[slices(node, x.shape, list(bounds))]


def _arithmetic(f: Callable[[Any, Any], Any]) -> Callable[..., Numeric]:
    def evaluate(node: Node, a: Numeric, b: Numeric) -> Numeric:
        with np.errstate(all="ignore"):
            return np.asarray(f(a, b)).astype(a.dtype)

    return evaluate


EVALUATE: dict[str, Callable[..., Any]] = {
    "Identity": lambda n, x: x,
    "Transpose": lambda n, x: np.transpose(x, permutation(n, x.ndim)),
    "Cast": _cast,
    "CastLike": _cast,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "ConstantOfShape": _filled,
    "DequantizeLinear": dequantised,
    "QuantizeLinear": quantised,
    "Quant": qonnx,
    "Expand": _expand,
    "Concat": lambda n, *xs: np.concatenate(xs, n.attrs["axis"]),
    "Gather": _gather,
    "Slice": _slice,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(lambda a, b: a // b if a.dtype.kind in "iu" else a / b),
    "Neg": lambda n, x: -x,
    "Sqrt": lambda n, x: np.sqrt(x),
    "Reciprocal": lambda n, x: 1 / x,
}
