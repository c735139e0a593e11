"""What a selection rule is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.merging.plan import Array, Index


@dataclass(frozen=True)
class Aim:
    """Channels that may become one at similarity `tau`, or exactly `count` that stay; `seed` for the rules
    that draw.
    """

    tau: float
    count: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Clusters:
    """`labels` (n,): channels with one label become one, -1 drops a channel without heir.

    `heads` (k,), where a rule says so: the channel of each label that stays. Otherwise the compensation
    chooses the most important one.
    """

    labels: Index
    heads: Index | None = None

    @property
    def count(self) -> int:
        """Number of labels."""
        return int(self.labels.max(initial=-1)) + 1

    def leaders(self, importance: Array) -> Index:
        """The channel that stays of each label: (k,)."""
        if self.heads is not None:
            return self.heads
        order = np.lexsort((np.arange(len(self.labels)), -importance, self.labels))
        ranked = self.labels[order]
        first = np.r_[True, ranked[1:] != ranked[:-1]] & (ranked >= 0)
        return np.asarray(order[first], np.int64)


def survivors(n: int, kept: Index) -> Clusters:
    """`kept` channels stay, the others go without heir."""
    labels = np.full(n, -1)
    kept = np.sort(np.asarray(kept, np.int64))
    labels[kept] = np.arange(len(kept))
    return Clusters(labels, kept)


def heirs(kept: Index, target: Index) -> Clusters:
    """Each channel goes to the kept channel `target` (n,) of channels, -1 without heir."""
    kept = np.sort(np.asarray(kept, np.int64))
    labels = np.where(target >= 0, np.searchsorted(kept, np.maximum(target, 0)), -1)
    labels[kept] = np.arange(len(kept))
    return Clusters(np.asarray(labels, np.int64), kept)


def several(target: Index, count: int) -> tuple[tuple[int, ...], ...]:
    """Members of each of `count` clusters that has more than one; `target` (n,) is -1 for none."""
    members = (tuple(np.flatnonzero(target == c).tolist()) for c in range(count))
    return tuple(m for m in members if len(m) > 1)


def reachable(rows: Array, count: int) -> int:
    """`count`, or the fewest clusters there can be: rows that are zero have no direction and stay alone."""
    zero = int((~rows.any(1)).sum())
    return max(count, zero + (zero < len(rows)))
