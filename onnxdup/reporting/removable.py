"""How many channels `merge` would take from a group at each tau: the exact pass, then complete linkage.

`merge` compares effective rows (weights with gains, biases and batch normalisation folded in), the survey of
a layer its filters alone. A second pass over all pairs is saved where the surveys prove it idle: an effective
row is (g·w, s), at an angle theta to its filters with tan theta = |s| / |g·w|. Where c is the cosine of a
filter with its nearest neighbour, the cosine of its row with any other is at most c cos²(theta) +
sin²(theta) for the largest theta of all; only channels whose bound reaches tau are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from onnxdup.channels import Block, ChannelGroup, Reader, Trace, constants
from onnxdup.channels.tracer import Source
from onnxdup.channels.transfer import PerChannel
from onnxdup.merging import Merge, Problem, exact_merge
from onnxdup.merging.dependence import candidate_path
from onnxdup.merging.exact import columns
from onnxdup.merging.selection.linkage import cells
from onnxdup.reporting.measure import Measured, count_clusters
from onnxdup.similarity import ONE, Units, similarity_components

SLACK = 1e-4
ALIKE = 0.98
"""Exact relations need filters whose cosine is ±1; survey histograms are good to about 0.01."""
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def removable(
    traced: Trace, group: ChannelGroup, taus: Sequence[float], measured: Mapping[str, Measured]
) -> tuple[int, ...]:
    """Channels that `merge --tau` would remove from a group by itself, at each of `taus`.

    `measured` are the surveys of layers, by the name of their weight.
    """
    if group.frozen or group.size < 2:
        return (0,) * len(taus)
    reader = traced.reader(group)
    surveys = [measured.get(s.use.constant.root) for s in group.sources]
    exact = _exact(group, reader, surveys)
    kept = np.arange(group.size) if exact is None else exact.keep
    gone = group.size - len(kept)
    problem = Problem(group, reader)
    below = [t for t in taus if t < 1]
    if not group.approximable or group.quantised or not below:
        return (gone,) * len(taus)
    kept = kept[_candidates(problem, surveys, min(below))[kept]]
    near = dict(zip(below, _near(problem, kept, below), strict=True))
    return tuple(gone + near.get(t, 0) for t in taus)


def _exact(group: ChannelGroup, reader: Reader, surveys: Sequence[Measured | None]) -> Merge | None:
    """The exact pass, unless nothing in the group can be redundant."""
    apart = not group.recurrences and all(s is not None and s.largest_absolute < ALIKE for s in surveys)
    if apart and not _constant(group, reader).any() and not _unread(group, reader).any():
        found = candidate_path(group)
        if found is None or not found.linear:
            return None
    return exact_merge(group, reader)


def _constant(group: ChannelGroup, reader: Reader) -> Flags:
    if not group.sinks:
        return np.zeros(group.size, bool)
    return np.asarray((~np.isnan(np.stack(constants(reader)))).all(axis=0), bool)


def _unread(group: ChannelGroup, reader: Reader) -> Flags:
    silent = np.ones(group.size, bool)
    for sink in group.sinks:
        if sink.use is None or not silent.any():
            return np.zeros(group.size, bool)
        silent &= (columns(sink, reader) == 0).all(1)
    return silent


def _candidates(problem: Problem, surveys: Sequence[Measured | None], tau: float) -> Flags:
    """Channels (n,) that the surveys do not prove to be farther than tau from every other."""
    everyone = np.ones(problem.group.size, bool)
    found = [s for s in surveys if s is not None and s.one_block]
    if len(found) < len(surveys) or _mixed_signs(problem):
        return everyone
    nearest = np.zeros(problem.group.size)
    for source, survey in zip(problem.group.sources, found, strict=True):
        nearest = np.maximum(nearest, _per_channel(problem.reader, source, survey.nearest).max(axis=1))
    lengths = {x.use.constant.root: s.lengths for x, s in zip(problem.group.sources, found, strict=True)}
    tilt = max((_tilt(problem, block, lengths) for block in problem.blocks), default=1.0)
    return np.asarray(nearest * (1 - tilt) + tilt + SLACK >= tau, bool)


def _mixed_signs(problem: Problem) -> bool:
    gains = [gain for block in problem.blocks for _, gain in block.sources]
    return any(gain.min() < 0 < gain.max() for gain in gains)


def _tilt(problem: Problem, block: Block, lengths: Mapping[str, Floats]) -> float:
    """sin²(theta) of the channel whose shift is largest beside its weights; 1 where a row has no weights."""
    weights = np.zeros(problem.group.size)
    for number, (source, gain) in enumerate(block.sources):
        entries = _per_channel(problem.reader, source, lengths[source.use.constant.root])
        if entries.shape[1] != gain.shape[1] and gain.shape[1] != 1:
            return 1.0
        squares = ((entries * gain * source.gain) ** 2).sum(axis=1)
        known = block.mean is not None
        weights += np.where(squares > 0, block.spreads[number][:, 0] ** 2, 0.0) if known else squares
    shift = block.shift if block.mean is None else block.mean
    shifts = np.broadcast_to((shift**2).sum(axis=1), weights.shape)
    total = weights + shifts
    return float(np.divide(shifts, total, out=np.ones_like(total), where=total > 0).max(initial=0.0))


def _per_channel(reader: Reader, source: Source, values: Floats) -> Floats:
    """One number per filter, as (channels, copies)."""
    column = values[:, None]
    return np.asarray(reader.stored(PerChannel(source.rows.ids, lambda: column)), np.float64)


def _near(problem: Problem, kept: npt.NDArray[np.int64], taus: Sequence[float]) -> list[int]:
    """Channels beyond the first of each complete-linkage cluster of effective rows."""
    if len(kept) < 2:
        return [0] * len(taus)
    problem = problem.restricted(kept)
    parts = problem.parts
    if np.isnan(problem.known_scales or ()).any() or not all(np.isfinite(rows).all() for rows in parts):
        return [0] * len(taus)
    if len(parts) > 1:
        return [len(kept) - int(cells(parts, tau, problem.metric).max()) - 1 for tau in taus]
    units = Units(problem.rows)
    labels = similarity_components(units, list(taus), metric=problem.metric)
    return [
        units.count - count_clusters(units, found, min(tau, ONE), metric=problem.metric)
        for tau, found in zip(taus, labels, strict=True)
    ]
