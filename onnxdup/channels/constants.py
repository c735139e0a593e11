"""Constant operands: weights wherever they are, with the way back to the tensor that stores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.channels.ids import Shape
from onnxdup.graph import Document, Node
from onnxdup.graph.tensors import dtype_of

Numeric = npt.NDArray[np.generic]
MAX_CHAIN = 64


@dataclass(frozen=True)
class Constant:
    """A constant that an operator reads.

    `root` is the initializer or Constant node that stores it, `chain` the nodes in between (first to last),
    `axes[k]` the axis of the root that axis k became (None: no single one). Where `axes` is None an edit
    replaces the last node of the chain by a tensor. `problem` says why it must not be edited; `dtype` is the
    type of the root.
    """

    name: str
    root: str
    shape: Shape
    axes: tuple[int | None, ...] | None
    chain: tuple[Node, ...] = ()
    problem: str | None = None
    dtype: np.dtype[np.generic] = field(default_factory=lambda: np.dtype(np.float32))
    read: Callable[[], Numeric] = field(repr=False, compare=False, default=lambda: np.zeros(0))


@dataclass
class Constants:
    """All constants of a document, resolved on demand through chains of data movement."""

    document: Document
    shapes: Mapping[str, Shape]
    _known: dict[str, Constant | None] = field(default_factory=dict)

    def get(self, name: str) -> Constant | None:
        """The constant called `name`, or None where the value depends on the model's inputs."""
        if name and name not in self._known:
            self._known[name] = None
            self._known[name] = self._resolve(name, 0)
        return self._known.get(name)

    def array(self, name: str) -> Numeric | None:
        """Its content, or None."""
        constant = self.get(name)
        return None if constant is None else constant.read()

    def scalar(self, name: str) -> float | None:
        """Its content if it is one number."""
        constant = self.get(name)
        if constant is None or int(np.prod(constant.shape)) != 1:
            return None
        return float(np.asarray(constant.read(), np.float64).reshape(()))

    def _resolve(self, name: str, depth: int) -> Constant | None:
        weights = self.document.weights
        if name in weights:
            return self._stored(name)
        node = self.document.producer_of(name)
        if node is None or depth > MAX_CHAIN or node.domain not in ("", "ai.onnx"):
            return None
        evaluate = EVALUATE.get(node.op_type)
        if evaluate is None:
            return None
        operands = [self.get(i) if i else None for i in node.inputs]
        if any(o is None for i, o in zip(node.inputs, operands, strict=True) if i):
            return None
        return self._derived(name, node, [o for o in operands if o is not None], evaluate)

    def _stored(self, name: str) -> Constant | None:
        info = self.document.weights.info(name)
        problem = None
        if name in self.document.overridable:
            problem = "it is also a graph input, so whoever runs the model may replace it"
        elif info.storage == "sparse":
            problem = "it is stored as a sparse tensor"
        if info.storage == "sparse":
            return None
        axes = tuple(range(len(info.shape)))
        return Constant(
            name, name, info.shape, axes, (), problem, info.dtype, lambda: self.document.weights.array(name)
        )

    def _derived(
        self, name: str, node: Node, operands: list[Constant], evaluate: Callable[..., Any]
    ) -> Constant | None:
        if not operands and node.op_type != "Constant":
            return None

        def read() -> Numeric:
            return np.asarray(evaluate(node, *[o.read() for o in operands]))

        first = operands[0]
        shape = _shape_after(node, first, self.shapes.get(name))
        if shape is None:
            shape = tuple(read().shape)
        axes = (
            None
            if len(operands) > 1 and node.op_type in COMPUTED
            else _axes_after(node, first, operands, shape)
        )
        problem = next((o.problem for o in operands if o.problem), None)
        if node.op_type in ("DequantizeLinear", "ConstantOfShape"):
            problem = {
                "DequantizeLinear": "it is stored quantised",
                "ConstantOfShape": "the graph computes it (ConstantOfShape)",
            }[node.op_type]
        return Constant(name, first.root, shape, axes, (*first.chain, node), problem, first.dtype, read)


COMPUTED = frozenset(
    {"Add", "Sub", "Mul", "Div", "Pow", "Concat", "Gather", "Slice", "Expand", "Sqrt", "Neg", "Reciprocal"}
)


def _shape_after(node: Node, first: Constant, inferred: Shape | None) -> Shape | None:
    if node.op_type in ("Identity", "Cast", "CastLike"):
        return first.shape
    if node.op_type == "Transpose":
        return tuple(first.shape[k] for k in _perm(node, len(first.shape)))
    return inferred


def _axes_after(
    node: Node, first: Constant, operands: list[Constant], shape: Shape
) -> tuple[int | None, ...] | None:
    """Axis map after a movement node, or None where an edit has to fold the chain."""
    if first.axes is None or node.op_type not in (
        "Identity",
        "Cast",
        "CastLike",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
    ):
        return None
    if node.op_type in ("Identity", "Cast", "CastLike"):
        return first.axes
    if node.op_type == "Transpose":
        return tuple(first.axes[k] for k in _perm(node, len(first.shape)))
    named = _axes_of(node, [o.read() for o in operands])
    if node.op_type == "Unsqueeze":
        if named is None:
            return None
        rest = iter(first.axes)
        new = {k % len(shape) for k in named}
        return tuple(None if k in new else next(rest) for k in range(len(shape)))
    rank = len(first.shape)
    gone = {k % rank for k in named} if named is not None else {k for k in range(rank) if first.shape[k] == 1}
    return tuple(a for k, a in enumerate(first.axes) if k not in gone)


def _perm(node: Node, rank: int) -> tuple[int, ...]:
    return tuple(node.attrs.get("perm", range(rank)[::-1]))


def _axes_of(node: Node, values: list[Numeric]) -> tuple[int, ...] | None:
    if "axes" in node.attrs:
        return tuple(int(k) for k in node.attrs["axes"])
    return tuple(int(k) for k in np.ravel(values[1])) if len(values) > 1 else None


def _squeeze(node: Node, x: Numeric, *axes: Numeric) -> Numeric:
    return np.squeeze(x, _axes_of(node, [x, *axes]))


def _unsqueeze(node: Node, x: Numeric, *axes: Numeric) -> Numeric:
    return np.expand_dims(x, _axes_of(node, [x, *axes]) or (0,))


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


def _dequantize(node: Node, x: Numeric, scale: Numeric, zero: Numeric | None = None) -> Numeric:
    axis = node.attrs.get("axis", 1)

    def lay(v: Numeric) -> Any:
        return (
            v
            if v.ndim == 0 or v.size == 1
            else v.reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)])
        )

    shifted = x.astype(np.float32) - (lay(zero).astype(np.float32) if zero is not None else np.float32(0))
    return np.asarray(shifted * lay(scale).astype(np.float32))


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
    "Transpose": lambda n, x: np.transpose(x, _perm(n, x.ndim)),
    "Cast": _cast,
    "CastLike": _cast,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "ConstantOfShape": _filled,
    "DequantizeLinear": _dequantize,
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
