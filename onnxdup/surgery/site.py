"""All edits of one stored tensor, computed when it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdup.channels.constants import Constant
from onnxdup.channels.quantised import Array, Quantised
from onnxdup.channels.tracer import Use
from onnxdup.graph import Lazy, TensorInfo
from onnxdup.surgery.contract import AxisOp, Numeric, contract, lengths


@dataclass
class Site:
    """One stored tensor, or the private copy of one of its readers: add, then contract, then shift kept
    rows.
    """

    use: Use
    ops: list[AxisOp] = field(default_factory=list)
    add: npt.NDArray[np.float64] | None = None
    after: list[tuple[AxisOp, npt.NDArray[np.float64]]] = field(default_factory=list)


def on_view(site: Site) -> Site:
    """The same edits, on the axes that the reader sees."""
    axes = site.use.constant.axes or ()
    back = {root: view for view, root in enumerate(axes) if root is not None}
    ops = [AxisOp(back[o.axis], o.index, o.keep, o.mix) for o in site.ops]
    return Site(site.use, ops, site.add, [(AxisOp(back[o.axis], o.index, o.keep), s) for o, s in site.after])


def edited(
    read: Callable[[], Numeric], site: Site, constant: Constant | None, info: TensorInfo | None = None
) -> Lazy:
    """The tensor after all edits, computed when it is written; `info` saves reading it before."""
    ops, add, after = list(site.ops), site.add, list(site.after)
    how = site.use.constant.quantised if constant is not None else None
    axis_of_use = site.use.axis if constant is None or constant.axes is None else constant.axes[site.use.axis]

    def compute() -> Numeric:
        array = read()
        if add is not None:
            lay = [-1 if k == axis_of_use else 1 for k in range(array.ndim)]
            array = (array.astype(np.float64) + add.reshape(lay)).astype(array.dtype)
        array = contract(array, ops) if how is None else _integers(how, array, ops)
        for op, shift in after:
            array = _shifted(array, ops, op, shift)
        return array

    before = read() if info is None else info
    return Lazy(lengths(before.shape, ops), before.dtype, compute)


def _integers(how: Quantised, array: Numeric, ops: Sequence[AxisOp]) -> Numeric:
    """Codes are mixed about their zero points; where rows only stay they keep their bits."""
    keep = [AxisOp(op.axis, op.index, op.keep) for op in ops]
    if all(op.mix is None for op in ops):
        return contract(array, keep)

    def wide(codes: Array, of: Sequence[AxisOp]) -> Array:
        return contract(codes, of).astype(np.float64, copy=False)

    return how.stored(array, lambda codes: wide(codes, ops), lambda rest: wide(rest, keep))


def _shifted(array: Numeric, ops: Sequence[AxisOp], op: AxisOp, shift: npt.NDArray[np.float64]) -> Numeric:
    """Add a value per kept channel at its new places."""
    gone = np.concatenate([o.dropped for o in ops if o.axis == op.axis])
    old = op.index[op.keep]
    new = old - np.searchsorted(np.sort(gone), old)
    out = np.moveaxis(array.astype(np.float64), op.axis, 0)
    out[new] += shift.reshape(-1, *([1] * out.ndim))
    return np.moveaxis(out, 0, op.axis).astype(array.dtype)
