"""What the exact pass has found so far in one group, and the `Merge` that it amounts to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array

from onnxdup.channels import ChannelGroup
from onnxdup.channels.tracer import Sink
from onnxdup.merging.plan import Array, Entry, Index, Merge
from onnxdup.merging.sums import Left, Sums

NONE = -1


@dataclass
class State:
    """Target of each channel (itself: kept; NONE: gone), with scale and shift per sink."""

    group: ChannelGroup
    target: Index
    scale: Array
    shift: Array
    sums: Sums
    entries: list[Entry] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    mixed: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    """Channels that are combinations: (factors (sinks, channels), shifts (sinks,)) by channel."""

    def fits(self, j: int, i: int, scale: Array) -> bool:
        """Can every reader store its column i plus `scale` times column j? If so it will."""
        reason = self.sums.add(j, i, scale)
        if reason is not None:
            self.left.append(Left(self.group.name, j, i, reason))
        return reason is None

    def drop(self, rule: str, j: int, i: int, scale: Array, shift: Array, residual: float = 0.0) -> None:
        self.target[j], self.scale[:, j], self.shift[:, j] = i, scale, shift
        a = float(scale[0]) if i != NONE and len(scale) else 0.0
        kappa = float(shift[0]) if len(shift) else 0.0
        self.entries.append(Entry(self.group.name, rule, int(j), int(i), a, kappa, float(residual)))

    def mix(self, rule: str, j: int, factors: Array, shift: Array, residual: float) -> None:
        """Channel j is the sum of channels times `factors` (sinks, channels); left where that cannot be
        stored.
        """
        kept = np.flatnonzero((factors != 0).any(0))
        reason = self.sums.mix(j, kept.tolist(), factors[:, kept])
        if reason is not None:
            self.left.append(Left(self.group.name, j, NONE, reason))
            return
        self.mixed[j] = (factors, shift)
        terms = tuple((int(k), float(factors[0, k])) for k in kept)
        self.entries.append(
            Entry(self.group.name, rule, j, NONE, 0.0, float(shift[0]), float(residual), terms)
        )

    def mixing(self, k: int) -> tuple[csr_array, Array] | None:
        """What sink k makes of all channels: (channels, channels), and shifts; None where that is nothing."""
        if not self.mixed:
            return None
        rows, n = csr_array(np.stack([f[k] for f, _ in self.mixed.values()])), self.group.size
        places = np.array(list(self.mixed))
        put = csr_array((np.ones(len(places)), (places, np.arange(len(places)))), shape=(n, len(places)))
        stay = np.ones(n)
        stay[places] = 0.0
        shifts = np.zeros(n)
        shifts[places] = [t[k] for _, t in self.mixed.values()]
        return csr_array(diags_array(stay)) + put @ rows, shifts

    def keep_all_but(self, most: int) -> None:
        """Take back the last entries beyond `most`."""
        for entry in self.entries[most:]:
            self.target[entry.dropped] = entry.dropped
            self.scale[:, entry.dropped], self.shift[:, entry.dropped] = 1.0, 0.0
        del self.entries[most:]

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        own = self.target == np.arange(self.group.size)
        own[list(self.mixed)] = False
        return np.asarray(own, bool)


def merge_of(state: State) -> Merge:
    group, n = state.group, state.group.size
    keep = np.flatnonzero(state.alive)
    held = np.flatnonzero(state.target != NONE)
    unmerge, constant = {}, {}
    for k, sink in enumerate(group.sinks):
        if sink.use is None:
            continue
        key = binding_of(group, sink).key
        unmerge[key], shift = _at_reader(state, k, held, keep)
        if shift.any():
            constant[sink.node.name] = shift
    clusters = tuple(tuple(np.flatnonzero(state.target == i).tolist()) for i in keep.tolist())
    return Merge(
        group.name,
        n,
        keep,
        unmerge,
        constant,
        clusters=tuple(c for c in clusters if len(c) > 1),
        entries=tuple(state.entries),
    )


def _at_reader(state: State, k: int, held: Index, keep: Index) -> tuple[csr_array, Array]:
    """(unmerge, constants) of sink k: pairs first, then combinations of what they leave."""
    n, mixing = state.group.size, state.mixing(k)
    if mixing is None:
        place = np.full(n, NONE)
        place[keep] = np.arange(len(keep))
        columns = place[state.target[held]]
        plain = csr_array((state.scale[k, held], (held, columns)), shape=(n, len(keep)))
        return plain, state.shift[k].copy()
    whole = csr_array((state.scale[k, held], (held, state.target[held])), shape=(n, n))
    factors, shifts = mixing
    unmerge = csr_array((whole @ factors)[:, keep])
    unmerge.sum_duplicates()
    return unmerge, state.shift[k] + whole @ shifts


def binding_of(group: ChannelGroup, sink: Sink):  # type: ignore[no-untyped-def]
    """The binding through which a sink reads the group."""
    return next(b for b in group.bindings if any(u is sink.use for u in b.uses))
