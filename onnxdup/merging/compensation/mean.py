"""Means of unit filters, outgoing weights summed.

`compensate` is section 4.1 of RoyChowdhury et al. (2018): filters and biases divided by ‖w‖, averaged,
outgoing weights multiplied by ‖w‖ and summed. `weighted` takes the norm of the whole effective row and
weights the mean by alpha = ‖v‖·‖row‖, which cancels the first-order error of parallel consumers.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from onnxdup.channels import Block
from onnxdup.merging.plan import Array, Index, Merge
from onnxdup.merging.problem import TINY, Problem


def compensate(problem: Problem, labels: Index) -> Merge:
    """The paper: plain mean of w/‖w‖ and b/‖w‖; without rescaling where the activation does not allow it."""
    length = np.maximum(np.linalg.norm(problem.filters, axis=1), TINY)
    return combine(
        problem, labels, length if problem.scalable else np.ones(len(length)), np.ones(len(length))
    )


def weighted(problem: Problem, labels: Index) -> Merge:
    """Mean of unit effective rows weighted by alpha."""
    return combine(problem, labels, problem.norms, problem.importance)


def combine(problem: Problem, labels: Index, scale: Array, weight: Array) -> Merge:
    """Merge clusters: row' = s_r Σ_j p_j row_j / s_j with p = weight / Σ weight, outgoing weights times s_j
    / s_r, summed.

    The representative r is the member of largest weight; its carriers stay. Where stored rows cannot express
    the mean (a shift without a tensor, one weight in several roles) the representative's row is kept as it
    is.
    """
    n = len(labels)
    keep, target = _representatives(labels, weight)
    leader = keep[target]
    total = np.bincount(target, weight, len(keep))
    mix = csr_array(
        (scale[leader] * weight / total[target] / scale, (target, np.arange(n))), shape=(len(keep), n)
    )
    unmerge, constant = problem.unmerge(keep, target, scale / scale[leader])
    written = _written(problem, keep, mix) if _expressible(problem, keep) else None
    rows, shift = written if written is not None else ({}, {})
    members = tuple(tuple(np.flatnonzero(target == c).tolist()) for c in range(len(keep)))
    clusters = tuple(m for m in members if len(m) > 1)
    return Merge(problem.group.name, n, keep, unmerge, constant, rows, shift, clusters)


def _representatives(labels: Index, weight: Array) -> tuple[Index, Index]:
    """(kept channels, ascending; position of each channel's representative among them)."""
    order = np.lexsort((np.arange(len(labels)), -weight, labels))
    _, first = np.unique(labels[order], return_index=True)
    head = order[first]
    keep = np.sort(head)
    return keep, np.searchsorted(keep, head)[labels]


def _expressible(problem: Problem, keep: Index) -> bool:
    seen: set[str] = set()
    for block in problem.blocks:
        for source, gain in block.sources:
            binding = problem.binding(source.use)
            if binding.key in seen or (gain != gain[:, :1]).any() or (gain[keep] == 0).any():
                return False
            seen.add(binding.key)
    return all(problem.source_count(s) == 1 for b in problem.blocks for s, _ in b.sources)


def _written(
    problem: Problem, keep: Index, mix: csr_array
) -> tuple[dict[str, csr_array], dict[str, Array]] | None:
    """Rows per producer and shifts per additive parameter that give the mixed effective rows."""
    rows: dict[str, csr_array] = {}
    shifts: dict[str, Array] = {}
    for block in problem.blocks:
        for source, gain in block.sources:
            own = csr_array(mix.multiply(gain[:, 0][None, :]).multiply(1.0 / gain[keep, 0][:, None]))
            rows[problem.binding(source.use).key] = own
        if not _shift(problem, block, keep, mix, shifts):
            return None
    return rows, shifts


def _shift(problem: Problem, block: Block, keep: Index, mix: csr_array, shifts: dict[str, Array]) -> bool:
    wanted = np.asarray(mix @ np.broadcast_to(block.shift, (mix.shape[1], block.shift.shape[1])))
    missing = wanted - np.broadcast_to(block.shift, (mix.shape[1], block.shift.shape[1]))[keep]
    if not (np.abs(missing) > 0).any():
        return True
    if block.slot is None or block.slot_gain is None or missing.shape[1] != 1:
        return False
    gain = block.slot_gain[keep, :1]
    if (gain == 0).any():
        return False
    shifts[problem.binding(block.slot.shift_use).key] = (missing / gain)[:, 0]
    return True
