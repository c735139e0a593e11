"""Weights of operators on integers and of reordered layers as the floats they stand for, to be read only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from onnxdup.channels.constants import Constant
from onnxdup.channels.rules.table import key
from onnxdup.channels.tracer import Tracer
from onnxdup.graph import Node

Array = npt.NDArray[np.float64]
BLOCKS = (16, 8)
"""Block sizes of onnxruntime's NCHWc layout: AVX-512, then other processors."""


@dataclass(frozen=True)
class Packed:
    """Where an operator keeps a quantised weight: inputs of weight, scale, zero point (-1: none), axis of its
    filters.
    """

    weight: int
    scale: int
    zero: int
    filters: int


PACKED = {
    "QLinearConv": Packed(3, 4, 5, 0),
    "ConvInteger": Packed(1, -1, 3, 0),
    "QLinearMatMul": Packed(3, 4, 5, -1),
    "MatMulInteger": Packed(1, -1, 3, -1),
    "com.microsoft::QGemm": Packed(3, 4, 5, -1),
    "com.microsoft::MatMulIntegerToFloat": Packed(1, 3, 5, -1),
    "com.microsoft::DynamicQuantizeMatMul": Packed(1, 2, 3, -1),
}
PLAIN = {
    "Conv": 0,
    "com.microsoft::FusedConv": 0,
    "ConvTranspose": 1,
    "Gemm": 1,
    "MatMul": -1,
    "com.microsoft::FusedGemm": 1,
    "com.microsoft::FusedMatMul": -1,
}


def filters_of(t: Tracer, n: Node) -> tuple[Constant, int] | None:
    """(weight as floats, axis of its filters) of a layer that no rule follows; None where it has no constant
    weight.
    """
    name = key(n)
    if name in PLAIN:
        weight = t.constant(n, 1)
        return _plain(weight, PLAIN[name], bool(n.attrs.get("transB", 0)))
    if name in PACKED:
        return _packed(t, n, PACKED[name])
    if name == "com.microsoft::MatMulNBits":
        return _bits(t, n)
    if name == "com.microsoft.nchwc::Conv":
        return _reordered(t, n)
    return None


def _plain(weight: Constant | None, axis: int, turned: bool) -> tuple[Constant, int] | None:
    if weight is None or len(weight.shape) < 2:
        return None
    axis = axis % len(weight.shape)
    return weight, (len(weight.shape) - 1 - axis if turned else axis)


def _packed(t: Tracer, n: Node, where: Packed) -> tuple[Constant, int] | None:
    weight = t.constant(n, where.weight)
    if weight is None or len(weight.shape) < 2:
        return None
    axis = 0 if n.attrs.get("transB", 0) else where.filters % len(weight.shape)
    scale, zero = (t.constant(n, k) if k >= 0 else None for k in (where.scale, where.zero))

    def lay(c: Constant | None, default: float) -> Array:
        values = np.full(1, default) if c is None else c.read().astype(np.float64)
        if values.size == 1:
            return values.reshape(())
        return values.reshape([-1 if k == axis else 1 for k in range(len(weight.shape))])

    def read() -> Array:
        return np.asarray((weight.read().astype(np.float64) - lay(zero, 0.0)) * lay(scale, 1.0))

    return replace(weight, read=read), axis


def _bits(t: Tracer, n: Node) -> tuple[Constant, int] | None:
    """MatMulNBits: N filters of K entries, packed low bits first, a scale per block of entries."""
    weight, scales, zeros = t.constant(n, 1), t.constant(n, 2), t.constant(n, 3)
    if weight is None or scales is None or (len(n.inputs) > 4 and n.inputs[4]):
        return None
    rows, length, size = (int(n.attrs[a]) for a in ("N", "K", "block_size"))
    bits, blocks = int(n.attrs.get("bits", 4)), -(-length // size)

    def read() -> Array:
        codes = unpacked(weight.read(), rows, bits)[:, : blocks * size].reshape(rows, blocks, size)
        middle = np.full((rows, blocks), float(2 ** (bits - 1)))
        if zeros is not None:
            held = zeros.read()
            packed = held.dtype == np.uint8
            middle = unpacked(held, rows, bits)[:, :blocks] if packed else held.astype(np.float64)
        values = (codes - middle.reshape(rows, blocks, 1)) * scales.read().astype(np.float64).reshape(
            rows, blocks, 1
        )
        return np.asarray(values.reshape(rows, -1)[:, :length])

    return replace(weight, shape=(rows, length), axes=None, read=read), 0


def unpacked(data: npt.NDArray[np.generic], rows: int, bits: int) -> Array:
    """Codes of `bits` bits (2, 4 or 8), the lowest bits of each byte first: (rows, codes)."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = data.view(np.uint8).reshape(rows, -1)[:, :, None] >> shifts
    return (codes & np.uint8((1 << bits) - 1)).reshape(rows, -1).astype(np.float64)


def _reordered(t: Tracer, n: Node) -> tuple[Constant, int] | None:
    """NCHWc: filters in blocks, the channels of a block innermost; zero filters fill up the last block."""
    weight = t.constant(n, 1)
    if weight is None or len(weight.shape) != 4:
        return None
    block = _block(t)
    return replace(weight, read=_unblocked(weight, block)), 0


def _block(t: Tracer) -> int:
    """The largest block that divides the filters of every reordered layer."""
    found = [t.constant(m, 1) for m in t.document.nodes if key(m) == "com.microsoft.nchwc::Conv"]
    counts = [c.shape[0] for c in found if c is not None and c.shape]
    return next((b for b in BLOCKS if all(k % b == 0 for k in counts)), 1)


def _unblocked(weight: Constant, block: int) -> Callable[[], Array]:
    rows, inputs, height, width = weight.shape

    def read() -> Array:
        data = weight.read().astype(np.float64).reshape(-1)
        if inputs % block or inputs == 1:
            grid = data.reshape(rows // block, inputs, height, width, block)
            return np.asarray(grid.transpose(0, 4, 1, 2, 3).reshape(weight.shape))
        grid = data.reshape(rows // block, inputs // block, height, width, block, block)
        return np.asarray(grid.transpose(0, 5, 1, 4, 2, 3).reshape(weight.shape))

    return read
