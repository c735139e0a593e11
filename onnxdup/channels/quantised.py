"""Numbers stored as integers: value = scale · (code − zero), with scale and zero for all or per entry of an
axis.

The arithmetic of QuantizeLinear and DequantizeLinear in float64, where the products of codes and float32
scales are exact: two rows are equal there exactly when they are equal as real numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from onnxdup.graph import Node
from onnxdup.graph.tensors import dtype_of

if TYPE_CHECKING:
    from onnxdup.channels.constants import Constant

Numeric = npt.NDArray[np.generic]
Array = npt.NDArray[np.float64]
Dtype = np.dtype[np.generic]
CODES = ("DequantizeLinear", "QuantizeLinear")


@dataclass(frozen=True)
class Quantised:
    """How a constant is quantised: value = scale · (code − zero).

    `axis` is the axis of the root along which scale and zero vary, None where one serves all. `codes` are
    code − zero and `zeros` the zero points, as the reader sees them. `simulated`: the root holds floats which
    the graph itself quantises (QuantizeLinear on a weight). `vectors` are the parameters that follow the
    rows: (node, input, constant).
    """

    dtype: Dtype
    axis: int | None
    scale: Constant
    zero: Constant | None
    codes: Callable[[], Array] = field(repr=False, compare=False)
    zeros: Callable[[], Array] = field(repr=False, compare=False)
    simulated: bool = False
    vectors: tuple[tuple[Node, int, Constant], ...] = ()

    def stored(self, root: Numeric, mix: Callable[[Array], Array], keep: Callable[[Array], Array]) -> Numeric:
        """The root after its rows were mixed: Σ a (code − zero) + zero, where `keep` takes zeros along."""
        scale, zero = self._laid(root.ndim)
        values = root.astype(np.float64)
        if self.simulated:
            codes = mix(as_codes(values / scale, zero, self.dtype) - zero)
            return np.asarray(codes * keep(np.broadcast_to(scale, root.shape)), root.dtype)
        moved = mix(values - zero)
        if zero.any():
            moved = moved + keep(np.broadcast_to(zero, root.shape))
        return as_stored(moved, root.dtype)

    def _laid(self, rank: int) -> tuple[Array, Array]:
        zero = None if self.zero is None else self.zero.read()
        return _parameters(rank, self.axis or 0, self.scale.read(), zero)


def limits(dtype: Dtype) -> tuple[float, float]:
    """Smallest and largest number of a type of codes."""
    if dtype.kind in "iu":
        info: Any = np.iinfo(dtype)
    elif dtype.name.lstrip("u").startswith("int"):
        info = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    else:
        info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    return float(info.min), float(info.max)


def as_stored(values: Array, dtype: Dtype) -> Numeric:
    """Codes in the type that stores them; whole numbers are rounded, never cut."""
    return np.asarray(np.rint(values) if is_whole(dtype) else values).astype(dtype)


def is_whole(dtype: Dtype) -> bool:
    """Whether a type holds integers (int4 of ml_dtypes among them)."""
    return dtype.kind in "iu" or dtype.name.lstrip("u").startswith("int")


def as_codes(scaled: Array, zero: npt.ArrayLike, dtype: Dtype) -> Array:
    """round(x / scale) + zero, saturated: halves go to the even number."""
    low, high = limits(dtype)
    if is_whole(dtype):
        return np.asarray(np.clip(np.rint(scaled) + zero, low, high))
    return np.asarray(np.clip(scaled, low, high).astype(dtype).astype(np.float64))


def _parameters(rank: int, axis: int, scale: Numeric, zero: Numeric | None) -> tuple[Array, Array]:
    """Scale and zero laid along an axis of an array."""

    def lay(v: Numeric) -> Array:
        wide = v.astype(np.float64)
        if wide.size == 1:
            return wide.reshape(())
        return wide.reshape([-1 if k == axis % rank else 1 for k in range(rank)])

    return lay(scale), np.zeros(()) if zero is None else lay(zero)


def axis_of(node: Node) -> int:
    """Axis of a (De)QuantizeLinear."""
    return int(node.attrs.get("axis", 1))


def code_type(node: Node, zero: Constant | Numeric | None) -> Dtype:
    """Type of the codes that a QuantizeLinear makes."""
    if zero is not None:
        return zero.dtype
    return dtype_of(int(node.attrs.get("output_dtype", 0))) or np.dtype(np.uint8)


def dequantised(node: Node, x: Numeric, scale: Numeric, zero: Numeric | None = None) -> Array:
    """DequantizeLinear in float64; blocks of `block_size` entries along the axis share a scale."""
    if node.attrs.get("block_size", 0):
        return _dequantised_blocks(node, x, scale, zero)
    s, z = _parameters(x.ndim, axis_of(node), scale, zero)
    return np.asarray((x.astype(np.float64) - z) * s)


def _dequantised_blocks(node: Node, x: Numeric, scale: Numeric, zero: Numeric | None) -> Array:
    axis, block = axis_of(node), int(node.attrs["block_size"])

    def spread(v: Numeric) -> Array:
        wide = np.repeat(v.astype(np.float64), block, axis)
        return np.asarray(wide.take(range(x.shape[axis]), axis))

    z = spread(zero) if zero is not None else 0.0
    return np.asarray((x.astype(np.float64) - z) * spread(scale))


def quantised(node: Node, x: Numeric, scale: Numeric, zero: Numeric | None = None) -> Numeric:
    """QuantizeLinear."""
    s, z = _parameters(x.ndim, axis_of(node), scale, zero)
    dtype = code_type(node, zero)
    return as_codes(x.astype(np.float64) / s, z, dtype).astype(dtype)


def qonnx(node: Node, x: Numeric, scale: Numeric, zero: Numeric, bits: Numeric) -> Array:
    """Quant of QONNX and Brevitas: round to `bits` bits and back to floats."""
    signed, narrow = bool(node.attrs.get("signed", 1)), bool(node.attrs.get("narrow", 0))
    top = float(2 ** (float(np.ravel(bits)[0]) - signed))
    low, high = (-top + narrow if signed else 0.0), top - 1 - (narrow and not signed)
    s, z = scale.astype(np.float64), zero.astype(np.float64)
    codes = np.clip(np.rint(x.astype(np.float64) / s + z), low, high)
    return np.asarray((codes - z) * s)


def quantisation(node: Node, operands: list[Constant]) -> tuple[Quantised | None, str | None]:
    """How the output of a (De)QuantizeLinear on a constant is quantised, or why it cannot be edited."""
    first, scale = operands[0], operands[1]
    zero = operands[2] if len(operands) > 2 else None
    if node.attrs.get("block_size", 0):
        return None, "it is quantised in blocks"
    if first.axes is None:
        return None, "it is reshaped before it is quantised"
    one = int(np.prod(scale.shape)) == 1
    axis = None if one else first.axes[axis_of(node) % len(first.shape)]
    if axis is None and not one:
        return None, "its scales follow an axis that is not stored"
    given = ((1, scale), (2, zero))
    vectors = tuple((node, slot, c) for slot, c in given if c is not None and int(np.prod(c.shape)) > 1)
    if first.quantised is not None:
        return _again(first.quantised, scale, zero, vectors)
    codes = first.read if node.op_type == "DequantizeLinear" else lambda: quantised(node, *_read(operands))
    return Quantised(
        first.dtype if node.op_type == "DequantizeLinear" else code_type(node, zero),
        axis,
        scale,
        zero,
        lambda: codes().astype(np.float64) - _zeros(node, operands),
        lambda: np.broadcast_to(_zeros(node, operands), first.shape),
        node.op_type == "QuantizeLinear",
        vectors,
    ), None


def _read(operands: list[Constant]) -> tuple[Numeric, ...]:
    return tuple(o.read() for o in operands)


def _zeros(node: Node, operands: list[Constant]) -> Array:
    zero = operands[2].read() if len(operands) > 2 else None
    return _parameters(len(operands[0].shape), axis_of(node), operands[1].read(), zero)[1]


def _again(
    old: Quantised, scale: Constant, zero: Constant | None, vectors: tuple[tuple[Node, int, Constant], ...]
) -> tuple[Quantised | None, str | None]:
    """A DequantizeLinear behind the QuantizeLinear of a weight."""
    same = _same(old.scale, scale) and (old.zero is None) == (zero is None)
    if not same or not (old.zero is None or zero is None or _same(old.zero, zero)):
        return None, "it is quantised and dequantised with different scales"
    return replace(old, vectors=(*old.vectors, *vectors)), None


def _same(a: Constant, b: Constant) -> bool:
    return a.root == b.root or np.array_equal(a.read(), b.read())
