"""What happens to the channels of one group on their way: relations of pairs, constants, effective rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from onnxdup.channels.groups import ChannelGroup, Partition
from onnxdup.channels.ids import Ids
from onnxdup.channels.relation import EXACT_ULP, Array, Index, Mask, Relation, fit, mantissa_bits
from onnxdup.channels.tracer import Recurrence, Sink, Source, Step
from onnxdup.channels.transfer import Affine, Parameter, PerChannel, Same, Sum


class Reader:
    """Parameters of a group's channels, in the order of the channels, read once."""

    def __init__(self, group: ChannelGroup, partition: Partition, only: Index | None = None) -> None:
        """Nothing is read before it is asked for. `only`: some of the channels, by position in the group."""
        self.group = group if only is None else replace(group, channels=group.channels[only])
        self.partition, self._only = partition, only
        self._cache: dict[int, tuple[PerChannel, Array]] = {}

    def restricted(self, channels: Index) -> Reader:
        """A reader of some of these channels, by position in the group."""
        if self._only is not None:
            raise ValueError("this reader is restricted already")
        return Reader(self.group, self.partition, channels)

    def of(self, parameter: Parameter) -> Array:
        """(channels, m) in float64; a scalar is (channels, 1)."""
        if not isinstance(parameter, PerChannel):
            return np.full((self.group.size, 1), float(parameter))
        held = self._cache.get(id(parameter))
        if held is None:
            held = (parameter, self.stored(parameter).astype(np.float64))
            self._cache[id(parameter)] = held
        return held[1]

    def stored(self, parameter: PerChannel) -> npt.NDArray[np.generic]:
        """(channels, copies · m) in the stored type."""
        index = self.partition.positions(parameter.ids, self.group.number)
        if index is None:
            raise ValueError(f"{self.group.name}: unequal numbers of entries")
        values = parameter.values()
        if self._only is not None:
            return values[index[self._only]].reshape(self.group.size, -1)
        if index.shape[1] == 1 and len(values) == len(index) and (index[:, 0] == np.arange(len(index))).all():
            return values
        return values[index].reshape(self.group.size, -1)

    def places(self, ids: Ids) -> Index:
        """Where the channels of the group stand in `ids`, each once: (channels,)."""
        index = self.partition.positions(ids, self.group.number)
        if index is None or index.shape[1] != 1:
            raise ValueError(f"{self.group.name}: its units are used in tuples")
        return np.asarray(index[:, 0], np.int64)


@dataclass
class Pairs:
    """A group's reader for the pairs (i, j), in the form that transfers ask for."""

    reader: Reader
    i: Index
    j: Index
    ulps: float = EXACT_ULP

    def of(self, parameter: Parameter) -> Array:
        """See `Reader.of`."""
        return self.reader.of(parameter)

    def stored(self, parameter: PerChannel) -> npt.NDArray[np.generic]:
        """See `Reader.stored`."""
        return self.reader.stored(parameter)

    def places(self, ids: Ids) -> Index:
        """Where the channels of the group stand in `ids`, each once: (channels,)."""
        return self.reader.places(ids)


@dataclass(frozen=True)
class Outcome:
    """The relation of each pair at each sink, and the largest residual of the rows it started from."""

    at: tuple[Relation, ...]
    ok: Mask
    residual: Array


def relations(reader: Reader, i: Index, j: Index, ulps: float = EXACT_ULP) -> Outcome:
    """Push h_j = a h_i + kappa from the rows to every sink; `ok` where it arrives at all of them exactly.

    At a sink that cannot absorb a shift kappa must be 0; where the group is read without a weight a must be
    1 too. Units of recurrent layers read each other: all pairs (first of a class, member) have to be given.
    """
    group, pairs = reader.group, Pairs(reader, i, j, ulps)
    state: dict[str, Relation] = {}
    residual = np.zeros(len(i))
    for item in with_recurrences(group):
        state[item.output], error = _related(item, state, pairs)
        residual = np.maximum(residual, error)
    at = tuple(_at_sink(sink, state) for sink in group.sinks)
    ok = np.ones(len(i), bool)
    for relation in at:
        ok &= relation.ok
    for relation in state.values():
        ok &= relation.ok
    return Outcome(at, ok, residual)


def _related(
    item: Source | Recurrence | Step, state: dict[str, Relation], pairs: Pairs
) -> tuple[Relation, Array]:
    """The relation behind one item, and the residual of the rows that it adds."""
    none = np.zeros(len(pairs.i))
    if isinstance(item, Source):
        dtype = item.use.constant.dtype
        f = fit(pairs.stored(item.rows), pairs.i, pairs.j, pairs.ulps, dtype)
        rtol = max(pairs.ulps, 1.0) * 2.0 ** -mantissa_bits(dtype)
        return Relation(f.a, none, none, f.exact, rtol), f.residual
    known = [state.get(x) for x in item.inputs]
    if isinstance(item, Recurrence):
        return item.lumping.relate(known, pairs)
    return item.transfer.relate(known, pairs), none


def relation_behind(
    reader: Reader, i: Index, j: Index, items: Sequence[Source | Step], ulps: float = EXACT_ULP
) -> Relation:
    """The relation of each pair in the value that the last of some leading items makes."""
    pairs = Pairs(reader, i, j, ulps)
    state: dict[str, Relation] = {}
    for item in items:
        state[item.output] = _related(item, state, pairs)[0]
    return state[items[-1].output]


def _at_sink(sink: Sink, state: dict[str, Relation]) -> Relation:
    r = state[sink.input]
    if sink.use is None:
        return r.where(r.is_one & r.no_shift)
    return r if sink.shift else r.where(r.no_shift)


def in_order(group: ChannelGroup) -> list[Source | Step]:
    """Sources need nothing, and steps were recorded on the way: this holds in unsorted files too."""
    return [*group.sources, *group.steps]


def with_recurrences(group: ChannelGroup) -> list[Source | Recurrence | Step]:
    """Each recurrent layer just before the first step that hands on its units."""
    waiting = {r.output: r for r in group.recurrences}
    items: list[Source | Recurrence | Step] = [*group.sources]
    for step in group.steps:
        items += [waiting.pop(x) for x in step.inputs if x in waiting]
        items.append(step)
    return [*items, *waiting.values()]


def constants(reader: Reader) -> list[Array]:
    """Value of each channel at each sink where it does not depend on the model's inputs, else NaN: arrays
    (channels,).
    """
    group = reader.group
    none = np.zeros(0, np.int64)
    pairs = Pairs(reader, none, none)
    state: dict[str, Array] = {}
    for item in with_recurrences(group):
        if isinstance(item, Source):
            zero = (reader.stored(item.rows) == 0).all(1)
            state[item.output] = np.where(zero, 0.0, np.nan)
        elif isinstance(item, Recurrence):
            held = item.lumping.constant(pairs)
            state[item.output] = np.where([bool(item.inputs)], np.nan, held)
        else:
            known = [state.get(x) for x in item.inputs]
            if all(x is None for x in known):
                continue
            with np.errstate(all="ignore"):
                state[item.output] = item.transfer.constant(known, pairs)
    unknown = np.full(group.size, np.nan)
    return [state.get(s.input, unknown) for s in group.sinks]


def approximate_scales(reader: Reader, i: Index, j: Index, scale: Array) -> list[tuple[Array, Array]]:
    """(a, kappa) at each sink for pairs whose effective rows are taken to be row j ≈ scale · row i.

    The same walk as `relations`, without the demand for equality: carriers behind the first non-linearity
    act with their own parameters, operators that erase a relation leave the scale as it is.
    """
    group, pairs = reader.group, Pairs(reader, i, j)
    linear: set[str] = set()
    state: dict[str, Relation] = {}
    zero = np.zeros(len(i))
    start = Relation(scale.astype(np.float64), zero, zero, np.ones(len(i), bool))
    for item in in_order(group):
        if isinstance(item, Source):
            linear.add(item.output)
            state[item.output] = start
            continue
        known = [state.get(x) for x in item.inputs]
        if isinstance(item.transfer, Affine | Sum | Same) and all(x in linear for x in item.inputs):
            linear.add(item.output)
            state[item.output] = start
            continue
        linear.discard(item.output)
        r = item.transfer.relate(known, pairs)
        good = np.isfinite(r.a) & np.isfinite(r.kappa)
        state[item.output] = Relation(
            np.where(good, r.a, 1.0), np.where(good, r.kappa, 0.0), r.noise, start.ok
        )
    return [(state[s.input].a, state[s.input].kappa if s.shift else zero) for s in group.sinks]
