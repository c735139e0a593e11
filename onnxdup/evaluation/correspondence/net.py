"""One network as the comparison of filters sees it: layers with their channels, and each channel's scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from onnxdup.channels import ChannelGroup, Effective, Trace, effective
from onnxdup.channels.ids import Ids
from onnxdup.channels.wiring import Wired, wired
from onnxdup.similarity.units import Floats


@dataclass
class Net:
    """One of the two networks: `gauge` (ids,) is the amplitude and sign of each channel."""

    trace: Trace
    wired: tuple[Wired, ...]
    gauge: Floats = field(repr=False)

    @classmethod
    def of(cls, trace: Trace) -> Net:
        """The network with nothing known of its channels."""
        return cls(trace, wired(trace), np.ones(trace.tracer.count))

    def rows(self, at: int, columns: Ids) -> Floats:
        """Filters of a layer (filters, columns) with the scale of a batch normalisation behind it folded in,
        times the amplitude of what they read. Not finite where the weights are not.
        """
        w = self.wired[at]
        with np.errstate(all="ignore"):
            rows = w.layer.rows()[:, columns].astype(np.float64)
            return rows * self.gauge[w.reads[columns]] * self.scales(at)[:, None]

    def scales(self, at: int) -> Floats:
        """What multiplies each filter (filters,) before its first non-linearity; 1 where that is unknown."""
        w = self.wired[at]
        scales = np.ones(w.layer.filters)
        for group in self.groups(w.makes):
            gain = self._gain(group, w)
            index = self.trace.partition.positions(w.makes, group.number)
            if gain is not None and index is not None:
                scales[index] = gain[:, None]
        return scales

    def groups(self, ids: Ids) -> list[ChannelGroup]:
        """Channel groups in the order in which they first appear."""
        numbers = self.trace.partition.group[ids[ids > 0]]
        return [self.trace.groups[k] for k in dict.fromkeys(numbers.tolist()) if k >= 0]

    def index(self, ids: Ids, group: ChannelGroup) -> Ids | None:
        """Places of a group's channels in `ids`: (channels, copies)."""
        return self.trace.partition.positions(ids, group.number)

    def root(self, group: ChannelGroup) -> Ids:
        """Ids of a group's channels."""
        return self.trace.partition.members[group.number]

    def amplitude(self, group: ChannelGroup, lengths: Floats) -> Floats:
        """Amplitude (channels,) of a group where it is read; `lengths` are those of the rows that make it."""
        form = self._forms.get(group.number)
        return lengths if form is None else form.amplitude(self.trace.reader(group), lengths)

    def is_output(self, group: ChannelGroup) -> bool:
        """Are these channels what the model answers with, and nothing else?"""
        values, held = self.trace.tracer.values, self.root(group)
        root = self.trace.partition.root
        shown = any(
            v.name in values and np.isin(held, root[values[v.name]]).all()
            for v in self.trace.document.outputs
        )
        return shown and not group.consumers

    def _gain(self, group: ChannelGroup, w: Wired) -> Floats | None:
        form = self._forms.get(group.number)
        for block in form.blocks if form else ():
            for source, gain in block.sources:
                if source.node.name == w.layer.node:
                    return np.asarray(gain.mean(1) * source.gain)
        return None

    @cached_property
    def _forms(self) -> dict[int, Effective]:
        chosen = [g for g in self.trace.groups if not g.frozen and not g.recurrences]
        return {g.number: effective(self.trace.reader(g)) for g in chosen}
