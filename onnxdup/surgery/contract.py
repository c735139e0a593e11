"""Contraction of one axis of a tensor: the only arithmetic of surgery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.errors import Bug

Numeric = npt.NDArray[np.generic]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AxisOp:
    """Contraction of one group on one axis: rows at `index[keep]` become `mix` @ rows at `index` (None:
    they stay). `block` is (axis, number) of the only slice that is meant.
    """

    axis: int
    index: Index
    keep: Index
    mix: csr_array | None = None
    block: tuple[int, int] | None = None

    @property
    def taps(self) -> int:
        """Kernel positions that `mix` mixes beside channels: 1 where it does not."""
        return 1 if self.mix is None else self.mix.shape[1] // max(len(self.index), 1)

    @property
    def dropped(self) -> Index:
        """Positions that go."""
        return self.index[np.setdiff1d(np.arange(len(self.index)), self.keep)].ravel()


def _mixed_taps(moved: Numeric, op: AxisOp, mix: csr_array) -> tuple[Index, Numeric]:
    """`mix` over (channel, position) pairs of a convolution's weight (channels, outputs, positions)."""
    rows = moved[op.index[:, 0]].astype(np.float64).reshape(len(op.index), moved.shape[1], op.taps)
    pairs = np.moveaxis(rows, 2, 1).reshape(-1, moved.shape[1])
    new = np.moveaxis((mix @ pairs).reshape(len(op.keep), op.taps, moved.shape[1]), 1, 2)
    return op.index[op.keep, 0], new.reshape(len(op.keep), *moved.shape[1:]).astype(moved.dtype)


def contract(array: Numeric, ops: Sequence[AxisOp]) -> Numeric:
    """Apply all contractions of a tensor; products in float64, rows that only stay keep their bits."""
    blocked = [op for op in ops if op.block is not None]
    if blocked:
        return _by_block(contract(array, [op for op in ops if op.block is None]), blocked)
    for axis in sorted({op.axis for op in ops}):
        mine = [op for op in ops if op.axis == axis]
        moved = np.moveaxis(array, axis, 0)
        changed = [_mixed(moved, op) for op in mine]
        stay = np.setdiff1d(np.arange(array.shape[axis]), np.concatenate([op.dropped for op in mine]))
        array = np.take(array, stay, axis)
        view = np.moveaxis(array, axis, 0)
        for places, rows in changed:
            view[np.searchsorted(stay, places)] = rows
    return np.ascontiguousarray(array)


def _by_block(array: Numeric, ops: Sequence[AxisOp]) -> Numeric:
    """Each slice by itself; all lose equally many places."""
    at = next(op.block[0] for op in ops if op.block is not None)
    parts = []
    for number in range(array.shape[at]):
        mine = [
            replace(op, axis=op.axis - (at < op.axis), block=None) for op in ops if op.block == (at, number)
        ]
        parts.append(contract(np.moveaxis(array, at, 0)[number], mine))
    if len({p.shape for p in parts}) > 1:
        raise Bug("the slices of a tensor lose different numbers of channels")
    return np.ascontiguousarray(np.stack(parts, at))


def lengths(shape: Sequence[int], ops: Sequence[AxisOp]) -> tuple[int, ...]:
    """Shape after all contractions."""
    out = list(shape)
    for op in ops:
        if op.block == next(o.block for o in ops if o.axis == op.axis):
            out[op.axis] -= len(op.dropped)
    return tuple(out)


def _mixed(moved: Numeric, op: AxisOp) -> tuple[Index, Numeric]:
    """(positions, new rows) of the rows that `mix` really changes."""
    empty = np.zeros(0, np.int64)
    if op.mix is None:
        return empty, moved[:0]
    if op.taps > 1:
        return _mixed_taps(moved, op, op.mix)
    k = len(op.keep)
    plain = csr_array((np.ones(k), (np.arange(k), op.keep)), shape=op.mix.shape)
    rows = np.unique((op.mix - plain).tocoo().coords[0])
    if not len(rows):
        return empty, moved[:0]
    mix = csr_array(op.mix)[rows]
    used = np.unique(mix.indices)
    small = mix[:, used]
    places = [op.index[op.keep[rows], c] for c in range(op.index.shape[1])]
    parts = []
    for c in range(op.index.shape[1]):
        old = moved[op.index[used, c]].astype(np.float64).reshape(len(used), int(np.prod(moved.shape[1:])))
        parts.append((small @ old).reshape(len(rows), *moved.shape[1:]).astype(moved.dtype))
    return np.concatenate(places), np.concatenate(parts)
