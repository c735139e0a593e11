"""Is a merge of the ledger true? Found out from the weights alone, without the code that made it.

Three questions. Do the entries account for every channel that goes, and do they add up to the matrices that
were applied? Is what they say true of the channels when these are computed operator by operator on made-up
inputs (`channels.simulation`), at every place where they are read? Is a channel that is said to be unread
multiplied by zeros?
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.channels import ChannelGroup, Reader, Trace
from onnxdup.channels.relation import close, mantissa_bits
from onnxdup.channels.simulation import CannotSimulate, Field, Simulation
from onnxdup.channels.tracer import Sink
from onnxdup.merging import Merge
from onnxdup.merging.exact import binding_of, columns
from onnxdup.merging.plan import Array, Index

Mixture: TypeAlias = csr_array | Array
SAFETY = 4.0
"""Rounding of several operators in a row, beside that of one."""
FEW = 8


def refuted(traced: Trace, merge: Merge, ulps: float) -> str | None:
    """Why a merge does not follow from the model, or None where it does."""
    group = next((g for g in traced.groups if g.name == merge.group), None)
    if group is None or group.frozen:
        return "there is no such free group of channels"
    wrong = _misshapen(group, merge)
    if wrong is not None:
        return wrong
    whole, shift = _added_up(merge)
    if whole is None:
        return "its entries do not say what becomes of each channel"
    reader = traced.reader(group)
    rtol = SAFETY * max(ulps, 1.0) * 2.0 ** -_bits(group)
    return _inconsistent(group, merge, whole, shift, rtol) or _untrue(group, reader, merge, whole, rtol)


def _misshapen(group: ChannelGroup, merge: Merge) -> str | None:
    keep, n = merge.keep, group.size
    sound = len(keep) and (np.diff(keep) > 0).all() and keep[0] >= 0 and keep[-1] < n
    if merge.size != n or not sound or merge.combine or merge.shift:
        return "its channels are not those of the model"
    bindings = {b.key for b in group.consumers}
    if set(merge.unmerge) != bindings or any(u.shape != (n, len(keep)) for u in merge.unmerge.values()):
        return "it does not name the weights that read the channels"
    if not all(_stays(u, keep) for u in merge.unmerge.values()):
        return "it changes channels that stay"
    nodes = {s.node.name for s in group.sinks if s.use is not None}
    if not set(merge.constant) <= nodes or any(v.shape != (n,) for v in merge.constant.values()):
        return "it has constants for layers that do not read the channels"
    if sorted(e.dropped for e in merge.entries) != merge.dropped.tolist():
        return "its entries are not those of the channels that go"
    return _unabsorbed(group, merge)


def _stays(unmerge: csr_array, keep: Index) -> bool:
    """Is each channel that stays itself and nothing else?"""
    rows = csr_array(unmerge)[keep].tocoo()
    held = rows.data != 0
    j, k = (c[held] for c in rows.coords)
    return len(j) == len(keep) and bool((j == k).all() and (rows.data[held] == 1).all())


def _unabsorbed(group: ChannelGroup, merge: Merge) -> str | None:
    """A constant may only go where a bias takes it up at every position."""
    for sink in group.sinks:
        shift = merge.constant.get(sink.node.name)
        if sink.use is not None and not sink.shift and shift is not None and shift.any():
            return f"{sink.node.name} cannot take up a constant"
    return None


def _added_up(merge: Merge) -> tuple[csr_array | None, Array]:
    """All entries together, in kept channels: (n, n), None where they run in circles; and shifts (n,)."""
    n = merge.size
    rows: dict[int, dict[int, float]] = {int(k): {int(k): 1.0} for k in merge.keep}
    shift = np.zeros(n)
    waiting = {e.dropped: e for e in merge.entries}
    while waiting:
        ready = [e for e in waiting.values() if all(k in rows for k, _ in _terms(e))]
        if not ready:
            return None, shift
        for e in ready:
            row: dict[int, float] = {}
            shift[e.dropped] = e.kappa + sum(a * shift[k] for k, a in _terms(e))
            for k, a in _terms(e):
                for c, x in rows[k].items():
                    row[c] = row.get(c, 0.0) + a * x
            rows[e.dropped] = row
            del waiting[e.dropped]
    places = [(j, c, x) for j, row in rows.items() for c, x in row.items()]
    at, factors = np.array([p[:2] for p in places]).T, np.array([p[2] for p in places])
    return csr_array((factors, (at[0], at[1])), shape=(n, n)), shift


def _terms(entry) -> tuple[tuple[int, float], ...]:  # type: ignore[no-untyped-def]
    """(channel, factor) of everything that an entry is the sum of."""
    if entry.terms:
        return tuple(entry.terms)
    return () if entry.kept < 0 else ((entry.kept, entry.a),)


def _inconsistent(
    group: ChannelGroup, merge: Merge, whole: csr_array, shift: Array, rtol: float
) -> str | None:
    """Entries hold the numbers of the first sink: they must be those applied there."""
    first = group.sinks[0]
    if first.use is None:
        return None
    applied = merge.unmerge[binding_of(group, first).key]
    apart = abs(applied - csr_array(whole[:, merge.keep])).max()
    largest = max(abs(applied).max(), 1.0)
    constant = merge.constant.get(first.node.name, np.zeros(merge.size))
    if apart > rtol * largest or not close(constant, shift, rtol).all():
        return "its entries do not add up to what was applied"
    return None


def _untrue(group: ChannelGroup, reader: Reader, merge: Merge, whole: csr_array, rtol: float) -> str | None:
    some = np.arange(group.size) if group.recurrences else _involved(merge, whole)
    near = reader if group.recurrences else reader.restricted(some)
    try:
        fields = Simulation(near).run()
    except CannotSimulate as error:
        return f"its channels cannot be computed again: {error}"
    gone = np.flatnonzero(np.isin(some, merge.dropped))
    wrong = np.zeros(len(gone), bool)
    for sink, held in zip(group.sinks, fields, strict=True):
        read = np.ones(len(gone), bool)
        mixture, constant = _rows(whole, some, gone), np.zeros(len(gone))
        if sink.use is not None:
            mixture = _rows(_applied(merge, group, sink), some, gone)
            constant = merge.constant.get(sink.node.name, np.zeros(group.size))[some[gone]]
            read = (columns(sink, reader)[some[gone]] != 0).any(1)
        elif not _copies(mixture):
            return "a reader without weights is given combinations of channels"
        wrong |= read & ~_agrees(held, gone, mixture, constant, rtol)
    if wrong.any():
        return f"channel {int(some[gone[np.flatnonzero(wrong)[0]]])} is not what its entry says"
    return None


def _rows(matrix: csr_array, some: Index, gone: Index) -> Mixture:
    """What the channels some[gone] are made of, among the channels `some`; sparse where these are few."""
    rows = csr_array(csr_array(matrix)[some[gone]][:, some])
    return rows if rows.nnz <= FEW * len(gone) else np.asarray(rows.toarray())


def _copies(mixture: Mixture) -> bool:
    held = csr_array(mixture)
    return bool((held.data == 1).all() and (np.diff(held.indptr) == 1).all())


def _applied(merge: Merge, group: ChannelGroup, sink: Sink) -> csr_array:
    """The unmerge matrix of a sink, (n, n)."""
    small = merge.unmerge[binding_of(group, sink).key].tocoo()
    j, k = small.coords
    return csr_array((small.data, (j, merge.keep[k])), shape=(merge.size, merge.size))


def _involved(merge: Merge, whole: csr_array) -> Index:
    """Channels that go, and those that they are made of."""
    used = [np.asarray(csr_array(whole)[merge.dropped].indices, np.int64), merge.dropped]
    used += [merge.keep[csr_array(u)[merge.dropped].indices] for u in merge.unmerge.values()]
    return np.unique(np.concatenate(used))


def _bits(group: ChannelGroup) -> int:
    """Those of the coarsest numbers that make or carry the channels."""
    uses = [u for b in (*group.producers, *group.carriers) for u in b.uses]
    floats = [u.constant.dtype for u in uses if u.constant.dtype.kind not in "iub"]
    return min([mantissa_bits(d) for d in floats], default=23)


def _agrees(
    held: Field, gone: Index, mixture: Mixture, constant: Array, rtol: float
) -> npt.NDArray[np.bool_]:
    """Does each channel that goes equal its mixture in every sample that is finite?"""
    n = len(held.value)
    value, size = held.value.reshape(n, -1), np.broadcast_to(held.size, held.value.shape).reshape(n, -1)
    finite = np.where(np.isfinite(value), value, 0.0)
    sizes = np.where(np.isfinite(size), size, 1e300)
    apart = np.abs(finite[gone] - mixture @ finite - constant[:, None])
    allowed = rtol * (sizes[gone] + abs(mixture) @ sizes + np.abs(constant)[:, None])
    return np.asarray((apart <= allowed).all(1), bool)
