"""Widths that hardware likes: counts that are left are multiples of a number, or the group stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from onnxdup.merging import Merge
from onnxdup.merging.plan import Array, Index


def widths(size: int, round_to: int) -> list[int]:
    """Counts that a group of `size` channels may keep, largest first: itself, and the multiples below it."""
    start = (size - 1) // round_to * round_to
    return [size, *range(start, 0, -round_to)]


def rounded_up(size: int, keep: int, round_to: int) -> int:
    """The smallest of these counts that is at least `keep`."""
    up = -(-max(keep, 1) // round_to) * round_to
    return up if up < size else size


def restored(merge: Merge, keep: int) -> Merge:
    """The same merge with `keep` channels kept: the first of those that would have gone stay.

    A kept channel is read as it is, so that every relation h ≈ unmerge h[keep] + constant still holds.
    """
    back = merge.dropped[: keep - len(merge.keep)]
    kept = np.sort(np.concatenate([merge.keep, back]))
    stays = set(back.tolist())
    return replace(
        merge,
        keep=kept,
        unmerge={name: _with(u, merge.keep, kept, back) for name, u in merge.unmerge.items()},
        constant={name: _without(c, back) for name, c in merge.constant.items()},
        entries=tuple(e for e in merge.entries if e.dropped not in stays),
    )


def _with(unmerge: csr_array, old: Index, kept: Index, back: Index) -> csr_array:
    """Columns at their new places, and for channels that stay a row of the identity."""
    coo = unmerge.tocoo()
    rows, columns = coo.coords
    held = ~np.isin(rows, back)
    place = np.searchsorted(kept, old)
    values = np.concatenate([coo.data[held], np.ones(len(back))])
    at = (
        np.concatenate([rows[held], back]),
        np.concatenate([place[columns[held]], np.searchsorted(kept, back)]),
    )
    return csr_array((values, at), shape=(unmerge.shape[0], len(kept)))


def _without(constant: Array, back: Index) -> Array:
    out = constant.copy()
    out[back] = 0.0
    return out
