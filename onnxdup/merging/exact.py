"""The exact pass: dead, constant and provably related channels of one group. Nothing here is approximate.

Rules, in the order of trial: a channel that nobody reads; a channel that is always zero; a channel that is
constant (absorbed by the biases behind it, or folded into another constant channel); h_j = a h_i + kappa;
combinations of several channels (`dependence`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Outcome, Reader, constants, relations
from onnxdup.channels.relation import EXACT_ULP, close, mantissa_bits
from onnxdup.channels.tracer import Sink, Source
from onnxdup.merging.dependence import Mixed, several
from onnxdup.merging.lumping import lump
from onnxdup.merging.plan import Array, Index, Merge
from onnxdup.merging.state import NONE, State, merge_of
from onnxdup.merging.state import binding_of as binding_of
from onnxdup.merging.sums import Left, Sums
from onnxdup.similarity import similarity_components

Rows = npt.NDArray[np.generic]
MAX_ROUNDS = 4096
BLOCK = 1 << 22
"""Elements looked at together."""


def exact_merge(
    group: ChannelGroup,
    reader: Reader,
    ulps: float = EXACT_ULP,
    left: list[Left] | None = None,
    most: int | None = None,
    *,
    unread_only: bool = False,
) -> Merge | None:
    """Everything in a group that can be proven redundant, at most `most` channels, or None; `left` receives
    proven pairs that no type can hold. `unread_only`: the rows were examined before, only the readers have
    changed since.
    """
    if group.frozen or group.size < 2 or most == 0:
        return None
    sinks, n = len(group.sinks), group.size
    state = State(group, np.arange(n), np.ones((sinks, n)), np.zeros((sinks, n)), Sums(group, reader))
    if all(s.use is not None for s in group.sinks):
        _unread(state, reader)
        if not unread_only:
            _constant(state, np.array(constants(reader)))
    if most is not None:
        state.keep_all_but(most)
    if group.recurrences:
        _lumped(state, reader, ulps, most)
    elif not unread_only:
        label = _related(state, reader, ulps)
        if most is None:
            _several(state, reader, label, ulps)
    if left is not None:
        left += [pair for pair in state.left if state.target[pair.dropped] == pair.dropped]
    if state.alive.all():
        return None
    if not state.alive.any():
        _spare(state)
    return None if state.alive.all() else merge_of(state)


def _spare(state: State) -> None:
    """A layer keeps at least one filter."""
    state.target[0], state.scale[:, 0], state.shift[:, 0] = 0, 1.0, 0.0
    state.entries = [e for e in state.entries if e.dropped != 0]


def columns(sink: Sink, reader: Reader) -> npt.NDArray[np.generic]:
    """What a sink reads from each channel: (channels, m), stored type."""
    from onnxdup.channels.transfer import PerChannel

    assert sink.use is not None
    return reader.stored(PerChannel(sink.use.ids, sink.use.rows))


def _unread(state: State, reader: Reader) -> None:
    silent = np.ones(state.group.size, bool)
    for sink in state.group.sinks:
        silent &= all_zero(columns(sink, reader))
        if not silent.any():
            return
    zero = np.zeros(len(state.group.sinks))
    for j in np.flatnonzero(silent):
        state.drop("nobody reads it", int(j), NONE, zero, zero)


def _constant(state: State, values: Array) -> None:
    """`values` (sinks, channels), NaN where a channel varies."""
    known = np.flatnonzero(~np.isnan(values).any(0) & state.alive)
    absorbing = np.array([s.shift for s in state.group.sinks])
    leader: int | None = None
    for j in known.tolist():
        v = values[:, j]
        if (v == 0).all():
            state.drop("always zero", j, NONE, 0 * v, 0 * v)
        elif absorbing[v != 0].all():
            state.drop("constant, absorbed by the bias", j, NONE, 0 * v, v)
        elif leader is None:
            leader = j
        elif ((values[:, leader] != 0) | (v == 0)).all():
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = np.where(v == 0, 0.0, v / values[:, leader])
            if _one_scale(state.group, scale) and state.fits(j, leader, scale):
                state.drop("constant, a multiple of another constant", j, leader, scale, 0 * v)


def _one_scale(group: ChannelGroup, scale: Array) -> bool:
    """Sinks that read one weight must absorb one scale."""
    held: dict[str, float] = {}
    roots = [(s.use.constant.root, float(a)) for s, a in zip(group.sinks, scale, strict=True) if s.use]
    return all(close(held.setdefault(root, a), a, 1e-12) for root, a in roots)


def _related(state: State, reader: Reader, ulps: float) -> Index:
    """Pairs whose rows are parallel are tried against the first of their kind; the proof decides.

    Returns the kind of each channel (-1 for those that were gone before).
    """
    alive = np.flatnonzero(state.alive)
    label = _candidates(state.group, reader, alive, ulps)
    waiting = alive[np.bincount(label, minlength=1)[label] > 1] if len(alive) else alive
    kind = dict(zip(alive.tolist(), label.tolist(), strict=True))
    for _ in range(MAX_ROUNDS):
        if len(waiting) < 2:
            break
        kinds = np.array([kind[c] for c in waiting.tolist()])
        _, first, inverse = np.unique(kinds, return_index=True, return_inverse=True)
        leader = waiting[first][inverse]
        member = waiting != leader
        outcome = relations(reader, leader[member], waiting[member], ulps)
        ok = outcome.ok & _same_weight_same_scale(state.group, outcome)
        _record(state, leader[member], waiting[member], outcome, ok)
        rest = waiting[member][~ok]
        counts = np.bincount([kind[c] for c in rest.tolist()], minlength=1)
        waiting = np.array([c for c in rest.tolist() if counts[kind[c]] > 1], np.int64)
    kinds = np.full(state.group.size, NONE)
    kinds[alive] = label
    return kinds


def _several(state: State, reader: Reader, label: Index, ulps: float) -> None:
    """Combinations of several of the channels that are left."""
    alive = np.flatnonzero(state.alive)
    found = several(state.group, reader, alive, label[alive], ulps)
    if found is None:
        return
    ok = found.ok & _one_mixture(state.group, found)
    for p in np.flatnonzero(ok).tolist():
        factors = np.stack([c.a[p] for c in found.at])
        shift = np.array([c.kappa[p] for c in found.at])
        state.mix(found.rule, int(found.j[p]), factors, shift, found.residual[p])


def _one_mixture(group: ChannelGroup, found: Mixed) -> npt.NDArray[np.bool_]:
    """A weight shared by several sinks absorbs one combination only, and no shift."""
    ok = np.ones(len(found.j), bool)
    seen: dict[str, int] = {}
    for k, sink in enumerate(group.sinks):
        first = k if sink.use is None else seen.setdefault(sink.use.constant.root, k)
        if first != k:
            ok &= found.at[k].alike(found.at[first]) & found.at[k].no_shift & found.at[first].no_shift
    return ok


def _lumped(state: State, reader: Reader, ulps: float, most: int | None) -> None:
    """Units of recurrent layers: all classes hold together or not at all."""
    group, left = state.group, None if most is None else most - len(state.entries)
    alive = np.flatnonzero(state.alive)

    def accept(i: Index, j: Index, outcome: Outcome) -> npt.NDArray[np.bool_]:
        ok = outcome.ok & _same_weight_same_scale(group, outcome)
        sums = Sums(group, reader)
        for p in np.flatnonzero(ok).tolist():
            reason = sums.add(int(j[p]), int(i[p]), np.array([r.a[p] for r in outcome.at]))
            if reason is not None:
                state.left.append(Left(group.name, int(j[p]), int(i[p]), reason))
                ok[p] = False
        return ok

    found = lump(group, reader, alive, ulps, accept, left)
    if found is not None:
        _record(state, found.i, found.j, found.outcome, np.ones(len(found.j), bool))


def _candidates(group: ChannelGroup, reader: Reader, alive: Index, ulps: float) -> Index:
    """Label per channel: rows of equal direction (up to sign) in the widest source."""
    source = max(group.sources, key=lambda s: _live_rows(s, reader, alive))
    rows = _chosen(reader.stored(source.rows), alive)
    delta = max(ulps, 1.0) * 2.0 ** -mantissa_bits(source.use.constant.dtype)
    tau = max(0.9, 1.0 - max(delta * delta * rows.shape[1], 1e-12))
    zero = all_zero(rows)
    label = np.asarray(similarity_components(rows, [tau], metric="absolute")[0], np.int64)
    return np.where(zero, label.max(initial=0) + 1, label)


def _live_rows(source: Source, reader: Reader, alive: Index) -> tuple[int, int]:
    rows = reader.stored(source.rows)
    return int((~all_zero(rows)[alive]).sum()), rows.shape[1]


def _chosen(rows: Rows, alive: Index) -> Rows:
    """The rows of these channels; not a copy where they are all."""
    return rows if len(alive) == len(rows) else rows[alive]


def all_zero(rows: Rows) -> npt.NDArray[np.bool_]:
    """Which rows (channels, m) hold nothing but zeros; in blocks, since a weight can be large."""
    step = max(1, BLOCK // max(1, rows.shape[1]))
    parts = [(rows[k : k + step] == 0).all(1) for k in range(0, len(rows), step)]
    return np.concatenate(parts) if parts else np.zeros(0, bool)


def _same_weight_same_scale(group: ChannelGroup, outcome: Outcome) -> npt.NDArray[np.bool_]:
    """A weight shared by several sinks absorbs one scale only, and a bias shared by them one shift."""
    ok = np.ones(len(outcome.ok), bool)
    seen: dict[str, int] = {}
    for k, sink in enumerate(group.sinks):
        if sink.use is None:
            continue
        first = seen.setdefault(sink.use.constant.root, k)
        if first != k:
            ok &= close(outcome.at[k].a, outcome.at[first].a, 2 * outcome.at[k].rtol)
            ok &= outcome.at[k].no_shift & outcome.at[first].no_shift
    return ok


def _record(state: State, i: Index, j: Index, outcome: Outcome, ok: npt.NDArray[np.bool_]) -> None:
    scale = np.array([r.a for r in outcome.at])
    shift = np.array([r.kappa for r in outcome.at])
    for p in np.flatnonzero(ok).tolist():
        if not state.fits(int(j[p]), int(i[p]), scale[:, p]):
            ok[p] = False
            continue
        plain = (scale[:, p] == 1).all() and (shift[:, p] == 0).all()
        rule = "copy" if plain else "scaled copy" if (shift[:, p] == 0).all() else "affine copy"
        rule = "lumped unit" if state.group.recurrences else rule
        state.drop(rule, int(j[p]), int(i[p]), scale[:, p], shift[:, p], outcome.residual[p])
