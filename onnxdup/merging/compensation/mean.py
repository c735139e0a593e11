"""Means of filters, outgoing weights summed.

`paper` is section 4.1 of RoyChowdhury et al. (2018): filters and biases divided by ‖w‖, averaged, outgoing
weights multiplied by ‖w‖ and summed. `weighted` takes the norm of the whole effective row and weights the
mean by alpha = ‖v‖·‖row‖, which cancels the first-order error of parallel consumers. `plain` averages rows as
they are, `repaired` restores the spread that averaging takes away (Wang et al., ICLR 2025, after Jordan et
al., "REPAIR", ICLR 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from onnxdup.channels import Block
from onnxdup.merging.exact import binding_of
from onnxdup.merging.plan import Array, Index, Merge
from onnxdup.merging.problem import TINY, Problem
from onnxdup.merging.selection.clusters import Clusters, several


@dataclass(frozen=True)
class Mixture:
    """`keep` (k,) and `mix` (k, n): the new effective row of a kept channel is mix @ rows.

    `target` (n,) is the place among the kept of what each channel becomes, `scale` (n,) the factor.
    `stretch` (k,) multiplies what varies of the new row, about its mean; `offset` (k,) is added to it.
    """

    keep: Index
    mix: csr_array
    target: Index
    scale: Array
    stretch: Array | None = None
    offset: Array | None = None

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Members of each cluster of several."""
        return several(self.target, len(self.keep))


def paper(problem: Problem, clusters: Clusters) -> Merge:
    """The paper: plain mean of w/‖w‖ and b/‖w‖; without rescaling where the activation does not allow it."""
    length = np.maximum(np.linalg.norm(problem.filters, axis=1), TINY)
    ones = np.ones(len(length))
    return merged(problem, mixture(problem, clusters, length if problem.scalable else ones, ones))


def weighted(problem: Problem, clusters: Clusters) -> Merge:
    """Mean of unit effective rows weighted by alpha."""
    return merged(problem, mixture(problem, clusters, problem.norms, problem.importance))


def plain(problem: Problem, clusters: Clusters) -> Merge:
    """Mean of the effective rows as they are, outgoing weights summed as they are."""
    ones = np.ones(problem.group.size)
    return merged(problem, mixture(problem, clusters, ones, ones))


def repaired(problem: Problem, clusters: Clusters) -> Merge:
    """`plain`, with what varies of the mean of n rows multiplied by √(n / (1 + (n − 1) rho)), rho their mean
    correlation.
    """
    ones = np.ones(problem.group.size)
    found = mixture(problem, clusters, ones, ones)
    return merged(
        problem, Mixture(found.keep, found.mix, found.target, found.scale, _stretch(problem, found))
    )


def mixture(problem: Problem, clusters: Clusters, scale: Array, weight: Array) -> Mixture:
    """row' = s_r Σ_j p_j row_j / s_j with p = weight / Σ weight, over the members of each cluster; r leads
    it, the member of largest weight.
    """
    labels = clusters.labels
    leaders = clusters.leaders(weight if np.ptp(weight) else problem.importance)
    keep = np.sort(leaders)
    place = np.searchsorted(keep, leaders)
    held = np.flatnonzero(labels >= 0)
    target = np.full(len(labels), -1)
    target[held] = place[labels[held]]
    total = np.bincount(target[held], weight[held], len(keep))
    lead = scale[keep[target[held]]]
    share = lead * weight[held] / total[target[held]] / scale[held]
    ratio = np.zeros(len(labels))
    ratio[held] = scale[held] / lead
    mix = csr_array((share, (target[held], held)), shape=(len(keep), len(labels)))
    return Mixture(keep, mix, target, ratio)


def merged(problem: Problem, found: Mixture) -> Merge:
    """The merge of a mixture. Where stored rows cannot express the mean (a shift without a tensor, one weight
    in several roles) the leader's row is kept as it is.
    """
    unmerge, constant = problem.unmerge(found.keep, found.target, found.scale)
    rows, shift = written(problem, found) or ({}, {})
    n, name = problem.group.size, problem.group.name
    return Merge(name, n, found.keep, unmerge, constant, rows, shift, found.clusters)


def mixing(problem: Problem, mix: csr_array, keep: Index, offset: Array | None = None) -> Merge | None:
    """Mixed rows in the places of `keep`, read as those were; others are dropped. None as for `written`."""
    n, k = problem.group.size, len(keep)
    rows = written(problem, Mixture(keep, mix, np.full(n, -1), np.zeros(n), None, offset))
    if rows is None:
        return None
    stays = csr_array((np.ones(k), (keep, np.arange(k))), shape=(n, k))
    unmerge = {binding_of(problem.group, s).key: stays for s in problem.group.sinks if s.use is not None}
    return Merge(problem.group.name, n, keep, unmerge, {}, *rows)


def written(problem: Problem, found: Mixture) -> tuple[dict[str, csr_array], dict[str, Array]] | None:
    """Rows per producer and shifts per additive parameter that give the mixed effective rows, or None."""
    if not _expressible(problem, found.keep):
        return None
    rows: dict[str, csr_array] = {}
    shifts: dict[str, Array] = {}
    stretch = np.ones(len(found.keep)) if found.stretch is None else found.stretch
    for block in problem.blocks:
        for source, gain in block.sources:
            own = found.mix.multiply(gain[:, 0][None, :]).multiply((stretch / gain[found.keep, 0])[:, None])
            rows[problem.binding(source.use).key] = csr_array(own)
        if not _shift(problem, block, found, stretch, shifts):
            return None
    return rows, shifts


def _expressible(problem: Problem, keep: Index) -> bool:
    seen: set[str] = set()
    for block in problem.blocks:
        for source, gain in block.sources:
            binding = problem.binding(source.use)
            if binding.key in seen or (gain != gain[:, :1]).any() or (gain[keep] == 0).any():
                return False
            seen.add(binding.key)
    return all(problem.source_count(s) == 1 for b in problem.blocks for s, _ in b.sources)


def _shift(problem: Problem, block: Block, found: Mixture, stretch: Array, shifts: dict[str, Array]) -> bool:
    n = problem.group.size
    shift = np.broadcast_to(block.shift, (n, block.shift.shape[1]))
    centre = shift if block.mean is None else np.broadcast_to(block.mean, (n, block.mean.shape[1]))
    wanted = stretch[:, None] * (found.mix @ shift) + (1 - stretch)[:, None] * (found.mix @ centre)
    if found.offset is not None:
        wanted = wanted + found.offset[:, None]
    missing = wanted - shift[found.keep]
    if not (np.abs(missing) > 0).any():
        return True
    if block.slot is None or block.slot_gain is None or missing.shape[1] != 1:
        return False
    gain = block.slot_gain[found.keep, :1]
    if (gain == 0).any():
        return False
    shifts[problem.binding(block.slot.shift_use).key] = (missing / gain)[:, 0]
    return True


def _stretch(problem: Problem, found: Mixture) -> Array:
    """√(n_c / (1 + (n_c − 1) rho_c)) of each cluster, rho_c the mean cosine between different rows of it."""
    out = np.ones(len(found.keep))
    weights = np.concatenate([w for b in problem.blocks for w in b.weights(problem.reader)], 1)
    unit = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), TINY)
    for members in found.clusters:
        size = len(members)
        rho = (float((unit[list(members)].sum(0) ** 2).sum()) - size) / (size * (size - 1))
        out[found.target[members[0]]] = np.sqrt(size / max(1 + (size - 1) * max(rho, 0.0), 1e-6))
    return out
