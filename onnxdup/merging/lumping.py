"""Exact lumping: the coarsest classes of units of a recurrent layer that move alike.

Start from classes as coarse as the input weights allow; every member is proven against the first of its
class, given all classes; members that fail form a class of their own; repeat until all hold. This never parts
two units that the coarsest valid partition joins (Paige and Tarjan, "Three partition refinement algorithms",
1987; Buchholz, "Exact and ordinary lumpability in finite Markov chains", 1994).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Outcome, Reader, relations
from onnxdup.channels.flow import Pairs
from onnxdup.merging.plan import Index
from onnxdup.similarity import similarity_components

ALIKE = 1 - 1e-9
Accept = Callable[[Index, Index, Outcome], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Lumped:
    """Pairs (first of a class, member) that hold together."""

    i: Index
    j: Index
    outcome: Outcome


def lump(
    group: ChannelGroup, reader: Reader, alive: Index, ulps: float, accept: Accept, most: int | None = None
) -> Lumped | None:
    """The coarsest valid classes of the channels `alive`, or None where every class is single.

    `accept` says which pairs may be merged at all. With `most` at most so many channels go: then the last
    members leave their classes first.
    """
    label = np.arange(group.size)
    label[alive] = group.size + _candidates(group, reader, alive, ulps)
    while True:
        i, j = _pairs(label)
        if not len(j):
            return None
        outcome = relations(reader, i, j, ulps)
        fails = ~accept(i, j, outcome)
        if not fails.any():
            if most is None or len(j) <= most:
                return Lumped(i, j, outcome)
            fails[-1] = True
        label[j[fails]] = label.max() + 1 + label[j[fails]]


def _pairs(label: Index) -> tuple[Index, Index]:
    """(first of the class, member) for every member but the first, in the order of the members."""
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    leader = first[inverse]
    j = np.flatnonzero(leader != np.arange(len(label)))
    return leader[j], j


def _candidates(group: ChannelGroup, reader: Reader, alive: Index, ulps: float) -> Index:
    """Classes by the magnitudes of everything but the recurrent weights."""
    none = np.zeros(0, np.int64)
    pairs = Pairs(reader, none, none, ulps)
    rows = np.concatenate([r.lumping.features(pairs) for r in group.recurrences], 1)[alive]
    odd = (rows == 0).all(1) | ~np.isfinite(rows).all(1)
    label = np.asarray(similarity_components(np.where(odd[:, None], 0, rows), [ALIKE])[0], np.int64)
    return np.where(odd, label.max(initial=0) + 1, label)
