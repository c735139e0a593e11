"""One channel group as a numerical problem: effective rows, their metric, and what the next layers read.

The effective row of a channel is what multiplies the producer's input at the first non-linearity: [gain · w
; shift] over all producers of the group, with BatchNormalization, scales and biases in between folded in.
Similarity of merging is taken on it (not on w alone): two filters with equal w and different biases are
different hinges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from onnxdup.channels import Binding, Block, ChannelGroup, Effective, Reader, Symmetry, Trace, effective
from onnxdup.channels.flow import approximate_scales
from onnxdup.channels.tracer import Sink, Source
from onnxdup.merging.exact import binding_of, columns
from onnxdup.merging.plan import Array, Index
from onnxdup.similarity import Metric

TINY = 1e-30
CHUNK = 1024
"""Channels whose effective rows are held together where all of them are only summed up."""


@dataclass(frozen=True)
class Problem:
    """See the module docstring. Arrays are float64; n channels, d entries per effective row."""

    group: ChannelGroup
    reader: Reader
    trace: Trace | None = None
    known_scales: tuple[float, ...] | None = None
    moments: object | None = None
    cache: dict[str, object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, trace: Trace, group: ChannelGroup, moments: object | None = None) -> Problem:
        """The problem of one group of a trace; `moments` provides its moments (see `merging.moments`)."""
        return cls(group, trace.reader(group), trace, moments=moments)

    @cached_property
    def effective(self) -> Effective:
        """Linear forms at the first non-linearities, and the carriers behind them."""
        return effective(self.reader)

    @property
    def blocks(self) -> list[Block]:
        """Linear forms at the first non-linearities."""
        return self.effective.blocks

    @cached_property
    def carriers(self) -> list[Array]:
        """Rows of the carriers behind the first non-linearities, each (n, m)."""
        return self.effective.carriers(self.reader, self.norms)

    @cached_property
    def signatures(self) -> list[Array]:
        """Effective rows of each block in the metric of its pre-activation, at root mean square 1: each (n,
        d).
        """
        rows = [b.signature(self.reader) for b in self.blocks]
        if len(rows) == 1:
            return rows
        scales = self.known_scales or [float(np.sqrt((r**2).sum(1).mean())) for r in rows]
        return [r / max(scale, TINY) for r, scale in zip(rows, scales, strict=True)]

    def restricted(self, channels: Index) -> Problem:
        """The problem of some channels, in which blocks weigh as much as among all.

        Its `known_scales` hold a NaN where any channel of the group has a row that is not finite.
        """
        total = np.zeros(len(self.blocks))
        for start in range(0, self.group.size, CHUNK):
            some = np.arange(start, min(start + CHUNK, self.group.size))
            part = effective(self.reader.restricted(some))
            reader = self.reader.restricted(some)
            total += [float((b.signature(reader) ** 2).sum()) for b in part.blocks]
        scales = np.sqrt(total / max(self.group.size, 1))
        scales[~np.isfinite(scales)] = np.nan
        reader = self.reader.restricted(channels)
        return Problem(reader.group, reader, self.trace, tuple(scales.tolist()))

    @cached_property
    def rows(self) -> Array:
        """Stacked effective rows: (n, d)."""
        return np.concatenate(self.signatures, 1)

    @property
    def parts(self) -> list[Array]:
        """Everything that must be similar at once for a merge: the stacked rows, each block of several,
        each carrier.

        A loud part (a gate with large biases) cannot hide that another one differs.
        """
        several = self.signatures if len(self.signatures) > 1 else []
        return [self.rows, *several, *self.carriers]

    @cached_property
    def filters(self) -> Array:
        """Stacked weights without biases and carriers, the paper's filters: (n, d)."""
        parts = [self.reader.stored(s.rows).astype(np.float64) for s in self.group.sources]
        return np.concatenate(parts, 1)

    @property
    def scalable(self) -> bool:
        """May channels be rescaled by positive numbers?"""
        return bool(self.group.symmetry & Symmetry.POSITIVE)

    @property
    def metric(self) -> Metric:
        """Cosine where scale is free, else the similarity of copies 2⟨a,b⟩/(‖a‖²+‖b‖²)."""
        return "cosine" if self.scalable else "copy"

    @cached_property
    def norms(self) -> Array:
        """Scale of each channel: norm of its effective row, 1 where scale is not free: (n,)."""
        length = np.linalg.norm(self.rows, axis=1)
        return np.asarray(np.maximum(length, TINY) if self.scalable else np.ones(len(length)))

    @cached_property
    def outgoing(self) -> Array:
        """Norm of everything the next layers read from each channel: (n,)."""
        total = np.zeros(self.group.size)
        for sink in self.group.sinks:
            if sink.use is not None:
                v = columns(sink, self.reader).astype(np.float64)
                total += np.einsum("nm,nm->n", v, v)
        return np.asarray(np.sqrt(total))

    def read_by(self, sink: Sink, taps: int) -> Array:
        """What a sink multiplies its `taps` values of each channel by: (outputs, n·taps)."""
        n, v = self.group.size, columns(sink, self.reader).astype(np.float64)
        return np.asarray(np.moveaxis(v.reshape(n, -1, taps), 2, 1).reshape(n * taps, -1).T)

    @property
    def importance(self) -> Array:
        """alpha = ‖v‖ · ‖row‖ of each channel: (n,)."""
        return np.asarray(np.maximum(self.outgoing * np.linalg.norm(self.rows, axis=1), TINY))

    def binding(self, use: object) -> Binding:
        """The binding that a use belongs to."""
        return next(b for b in self.group.bindings if any(u is use for u in b.uses))

    def source_count(self, source: Source) -> int:
        """How many nodes make channels of this group from the same stored weight."""
        return sum(s.use.constant.root == source.use.constant.root for s in self.group.sources)

    def unmerge(
        self, keep: Index, target: Index, scale: Array
    ) -> tuple[Mapping[str, csr_array], Mapping[str, Array]]:
        """(unmerge per consumer, constants per sink) where channel j becomes scale_j · keep[target_j].

        Carriers behind the first non-linearity (a BatchNormalization after Relu) change scale and shift per
        consumer.
        """
        held = np.flatnonzero(target >= 0)
        leader = keep[target[held]]
        at = approximate_scales(self.reader, leader, held, scale[held])
        matrices: dict[str, csr_array] = {}
        constants: dict[str, Array] = {}
        for sink, (a, kappa) in zip(self.group.sinks, at, strict=True):
            if sink.use is None:
                continue
            shape = (self.group.size, len(keep))
            matrices[binding_of(self.group, sink).key] = csr_array((a, (held, target[held])), shape=shape)
            if kappa.any():
                full = np.zeros(self.group.size)
                full[held] = kappa
                constants[sink.node.name] = full
        return matrices, constants
