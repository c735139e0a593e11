"""Which channel of one network corresponds to which of the other, carried from layer to layer.

The filters of a layer can be compared only where their weights read the same things in the same order. Both
networks read the model's inputs alike; behind a layer, the best matching of its filters says which channels
correspond, and so which columns of the next layer. One assignment is made per channel group, from all the
layers that make its channels (the stream of a residual net has many), as in the weight matching of Ainsworth,
Hayase and Srinivasa, "Git Re-Basin" (2023); similarity is the cosine, so that scales do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from onnxdup.channels import ChannelGroup, Symmetry
from onnxdup.channels.ids import Ids
from onnxdup.evaluation.correspondence.net import Net
from onnxdup.evaluation.correspondence.pairing import Pair
from onnxdup.similarity.matching import LARGEST, assignment
from onnxdup.similarity.units import Floats, Units

Inputs = Literal["model inputs", "matched", "as stored"]
SWEEPS = 8
_TIE = 1e-3
"""Weight of the readers: they decide between filters that are alike, as exact duplicates are."""
_MOST = 1 << 32
"""More weights than any filter has."""


@dataclass(frozen=True)
class Common:
    """Columns of two layers that read the same things, in the same order: both (columns,)."""

    first: Ids
    second: Ids
    inputs: Inputs
    note: str = ""


class Correspondence:
    """Two networks with paired layers; `partner` (ids of the first,) is the channel of the second, or 0."""

    def __init__(self, first: Net, second: Net, pairs: Sequence[Pair]) -> None:
        self.a, self.b, self.pairs = first, second, tuple(pairs)
        self.partner: Ids = np.zeros(first.trace.tracer.count, np.int64)
        self.groups: dict[int, int] = {}
        self._readers = self._by_group([first.wired[p.a].reads for p in self.pairs])
        self._writers = self._by_group([first.wired[p.a].makes for p in self.pairs])
        self._solve()

    def common(self, i: int, j: int) -> Common:
        """Comparable columns of layer i of the first and layer j of the second network.

        `note` says why there are none.
        """
        a, b = self.a.wired[i], self.b.wired[j]
        if a.taps != b.taps and a.taps and b.taps:
            return _nothing(f"{a.taps} and {b.taps} weights per channel")
        plain = [int((w.reads == 0).sum()) for w in (a, b)]
        if plain[0] != plain[1]:
            return _nothing(f"{plain[0]} and {plain[1]} weights read what is no channel")
        known = np.where(a.reads > 0, self.partner[a.reads], 0)
        usable = (a.reads == 0) | (known > 0)
        left, right = _keys(known, usable), _keys(b.reads, np.ones(len(b.reads), bool))
        _, first, second = np.intersect1d(left, right, assume_unique=True, return_indices=True)
        if not len(first):
            return _nothing("no input of the one corresponds to an input of the other")
        first = np.flatnonzero(usable)[first]
        stored = plain[0] > 0 and not (a.raw and b.raw)
        inputs: Inputs = "as stored" if stored else "matched" if (a.reads > 0).any() else "model inputs"
        order = np.argsort(first)
        return Common(first[order], second[order], inputs)

    def rows(self, i: int, j: int, columns: Common) -> tuple[Floats, Floats]:
        """Filters of both layers on their common columns."""
        return self.a.rows(i, columns.first), self.b.rows(j, columns.second)

    def _by_group(self, ids: Sequence[Ids]) -> dict[int, list[Pair]]:
        """Pairs whose layer of the first network has channels of a group among these ids."""
        found: dict[int, list[Pair]] = {}
        for pair, own in zip(self.pairs, ids, strict=True):
            for group in self.a.groups(own):
                found.setdefault(group.number, []).append(pair)
        return found

    def _solve(self) -> None:
        """Layer by layer in the order of the graph; then again with everything known, until nothing moves."""
        for at in range(SWEEPS):
            before = self.partner.copy()
            for pair in self.pairs:
                for ga, gb in self._made(pair):
                    if at or ga.number not in self.groups:
                        self._assign(ga, gb, [pair] if not at else self._makers(ga, gb), tie=bool(at))
            if np.array_equal(before, self.partner):
                return

    def _made(self, pair: Pair) -> Iterator[tuple[ChannelGroup, ChannelGroup]]:
        """Groups that both layers make, in their order; each corresponds to one group only."""
        left = self.a.groups(self.a.wired[pair.a].makes)
        right = self.b.groups(self.b.wired[pair.b].makes)
        if len(left) != len(right):
            return
        for ga, gb in zip(left, right, strict=True):
            if self.groups.get(ga.number, gb.number) == gb.number and (
                ga.number in self.groups or gb.number not in self.groups.values()
            ):
                yield ga, gb

    def _makers(self, ga: ChannelGroup, gb: ChannelGroup) -> list[Pair]:
        pairs = self._writers.get(ga.number, [])
        return [p for p in pairs if any(x is ga and y is gb for x, y in self._made(p))]

    def _assign(self, ga: ChannelGroup, gb: ChannelGroup, makers: Sequence[Pair], *, tie: bool) -> None:
        if max(ga.size, gb.size) > LARGEST:
            return
        rows = [found for p in makers if (found := self._channel_rows(p, ga, gb)) is not None]
        if not rows:
            return
        score = np.zeros((ga.size, gb.size))
        for x, y in rows:
            score += Units(x).exact(slice(None)) @ Units(y).exact(slice(None)).T
        symmetry = ga.symmetry & gb.symmetry if not (ga.frozen or gb.frozen) else Symmetry.COPY
        worth = np.abs(score) if Symmetry.SIGN in symmetry else score
        worth = worth + _TIE * self._read_alike(ga, gb) if tie else worth
        i, j = self._fixed(ga, gb) or assignment(worth)
        self.groups[ga.number] = gb.number
        self.partner[self.a.root(ga)] = 0
        self.partner[self.a.root(ga)[i]] = self.b.root(gb)[j]
        self._gauge(ga, gb, makers[0], symmetry, np.where(score[i, j] < 0, -1.0, 1.0), (i, j))

    def _fixed(self, ga: ChannelGroup, gb: ChannelGroup) -> tuple[Ids, Ids] | None:
        """The model's answers have their order from outside."""
        if ga.size == gb.size and self.a.is_output(ga) and self.b.is_output(gb):
            return np.arange(ga.size), np.arange(gb.size)
        return None

    def _channel_rows(self, p: Pair, ga: ChannelGroup, gb: ChannelGroup) -> tuple[Floats, Floats] | None:
        """What makes the channels: (channels, copies · columns) of both networks."""
        columns = self.common(p.a, p.b)
        i, j = self.a.index(self.a.wired[p.a].makes, ga), self.b.index(self.b.wired[p.b].makes, gb)
        if not len(columns.first) or i is None or j is None or i.shape[1] != j.shape[1]:
            return None
        x, y = self.rows(p.a, p.b, columns)
        return x[i].reshape(len(i), -1), y[j].reshape(len(j), -1)

    def _read_alike(self, ga: ChannelGroup, gb: ChannelGroup) -> Floats:
        """Likeness (channels, channels) of the weights that read them: 2⟨x, y⟩ / (|x|² + |y|²), averaged."""
        total, count = np.zeros((ga.size, gb.size)), 0
        for p in self._readers.get(ga.number, []):
            if (found := self._reading(p, ga, gb)) is not None:
                x, y = found
                sizes = (x * x).sum(1)[:, None] + (y * y).sum(1)
                total += 2 * (x @ y.T) / np.where(sizes > 0, sizes, 1)
                count += 1
        return total / max(count, 1)

    def _reading(self, p: Pair, ga: ChannelGroup, gb: ChannelGroup) -> tuple[Floats, Floats] | None:
        """Unit filters that read the channels, those of matched outputs only: (channels, filters · taps)."""
        a, b = self.a.wired[p.a], self.b.wired[p.b]
        if a.taps != b.taps or not ((a.reads > 0).any() and (b.reads > 0).any()):
            return None
        i, j = self.a.index(a.reads, ga), self.b.index(b.reads, gb)
        if i is None or j is None or not i.size or i.shape[1] != j.shape[1]:
            return None
        _, first, second = np.intersect1d(
            _keys(self.partner[a.makes], self.partner[a.makes] > 0),
            _keys(b.makes, np.ones(len(b.makes), bool)),
            assume_unique=True,
            return_indices=True,
        )
        known = np.flatnonzero(self.partner[a.makes] > 0)
        x = Units(self.a.rows(p.a, np.arange(len(a.reads)))[known[first]]).exact(slice(None))
        y = Units(self.b.rows(p.b, np.arange(len(b.reads)))[second]).exact(slice(None))
        return _by_channel(x, i), _by_channel(y, j)

    def _gauge(
        self,
        ga: ChannelGroup,
        gb: ChannelGroup,
        maker: Pair,
        symmetry: Symmetry,
        sign: Floats,
        match: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    ) -> None:
        """Amplitudes where scales pass, the matched sign where signs do."""
        a, b = self.a.root(ga), self.b.root(gb)
        self.a.gauge[a], self.b.gauge[b] = 1.0, 1.0
        if Symmetry.POSITIVE in symmetry:
            rows = self._channel_rows(maker, ga, gb)
            if rows is not None:
                x, y = (np.linalg.norm(r, axis=1) for r in rows)
                self.a.gauge[a] = self.a.amplitude(ga, x)
                self.b.gauge[b] = self.b.amplitude(gb, y)
        if Symmetry.SIGN in symmetry:
            self.b.gauge[b[match[1]]] *= sign


def _by_channel(rows: Floats, index: Ids) -> Floats:
    """Rows (filters, columns) as (channels, filters · taps)."""
    return rows[:, index].transpose(1, 0, 2).reshape(len(index), -1)


def _nothing(note: str) -> Common:
    empty = np.empty(0, np.int64)
    return Common(empty, empty, "as stored", note)


def _keys(ids: Ids, usable: npt.NDArray[np.bool_]) -> Ids:
    """(id, how often it came before) as one number, of the usable places."""
    chosen = ids[usable]
    order = np.argsort(chosen, kind="stable")
    ranked = chosen[order]
    starts = np.r_[0, np.flatnonzero(np.diff(ranked)) + 1][: len(ranked)]
    run = np.arange(len(ranked)) - np.repeat(starts, np.diff(np.r_[starts, len(ranked)]))
    keys = np.empty(len(chosen), np.int64)
    keys[order] = ranked * _MOST + run
    return keys
