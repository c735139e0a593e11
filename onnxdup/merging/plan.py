"""`Merge`: the one value that every method returns, and plans made of them.

h ≈ unmerge @ h[keep] + constant. Producers and carriers keep (or combine) rows, consumers absorb V ← V ·
unmerge, the biases behind them absorb V · constant. The words merge and unmerge are those of git-re-basin
and ZipIt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.errors import InputError

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Readers: TypeAlias = tuple[tuple[str, int], ...]
"""(node, input) of some readers of one constant."""
PLAN_VERSION = 2
READABLE = (1, 2)
"""Version 2 knows entries with several terms; plans without one are written as version 1."""


@dataclass(frozen=True)
class Entry:
    """A ledger line: channel `dropped` is `a` times channel `kept` plus `kappa`, by `rule`, within
    `residual`.

    `kept` is -1 where nothing is kept for it (dead or constant channels), and where `terms` says of which
    channels, each with its factor, the dropped one is the sum. Numbers are those at the first sink.
    """

    group: str
    rule: str
    dropped: int
    kept: int
    a: float
    kappa: float
    residual: float
    terms: tuple[tuple[int, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON form; `terms` only where there are some."""
        held = {k: v for k, v in vars(self).items() if k != "terms"}
        return {**held, "terms": [list(t) for t in self.terms]} if self.terms else held

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Entry:
        """Inverse of `as_dict`."""
        terms = tuple((int(k), float(a)) for k, a in d.get("terms", ()))
        return cls(**{**d, "terms": terms})


@dataclass(frozen=True)
class Merge:
    """How `size` channels of a group become `len(keep)`.

    `unmerge[consumer binding]` is (size, k); `constant[sink node]` (size,) is what the dropped channels add
    there; `combine[producer binding]` is (k, size), absent where rows are kept; `shift[additive binding]`
    (k,) is added to the stored shift after its rows were kept.
    """

    group: str
    size: int
    keep: Index
    unmerge: Mapping[str, csr_array]
    constant: Mapping[str, Array] = field(default_factory=dict)
    combine: Mapping[str, csr_array] = field(default_factory=dict)
    shift: Mapping[str, Array] = field(default_factory=dict)
    clusters: tuple[tuple[int, ...], ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def dropped(self) -> Index:
        """Channels that go."""
        return np.setdiff1d(np.arange(self.size), self.keep)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "group": self.group,
            "size": self.size,
            "keep": self.keep.tolist(),
            "unmerge": {k: _sparse(v) for k, v in self.unmerge.items()},
            "constant": {k: v.tolist() for k, v in self.constant.items()},
            "combine": {k: _sparse(v) for k, v in self.combine.items()},
            "shift": {k: v.tolist() for k, v in self.shift.items()},
            "clusters": [list(c) for c in self.clusters],
            "entries": [e.as_dict() for e in self.entries],
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Merge:
        """Inverse of `as_dict`."""
        return cls(
            d["group"],
            int(d["size"]),
            np.asarray(d["keep"], np.int64),
            {k: _dense(v) for k, v in d["unmerge"].items()},
            {k: np.asarray(v, np.float64) for k, v in d["constant"].items()},
            {k: _dense(v) for k, v in d["combine"].items()},
            {k: np.asarray(v, np.float64) for k, v in d["shift"].items()},
            tuple(tuple(int(i) for i in c) for c in d["clusters"]),
            tuple(Entry.from_dict(e) for e in d["entries"]),
        )


def _sparse(matrix: csr_array) -> dict[str, Any]:
    coo = matrix.tocoo()
    return {
        "shape": list(coo.shape),
        "rows": coo.coords[0].tolist(),
        "columns": coo.coords[1].tolist(),
        "values": coo.data.tolist(),
    }


def _dense(d: Mapping[str, Any]) -> csr_array:
    return csr_array((d["values"], (d["rows"], d["columns"])), shape=tuple(d["shape"]))


def version_of(entries: Iterable[Entry]) -> int:
    """The oldest format that can say all this."""
    return PLAN_VERSION if any(e.terms for e in entries) else READABLE[0]


@dataclass(frozen=True)
class MergePlan:
    """Rounds of merges: the groups of a round are those of the document after the rounds before it.

    `constant_inputs`: before the first round, weights that callers could override became constants; then each
    set of readers in `clones` got a copy of the weight that it shares with others.
    """

    source: str
    method: str
    tau: float
    rounds: tuple[tuple[Merge, ...], ...] = ()
    constant_inputs: bool = False
    clones: tuple[Readers, ...] = ()

    @property
    def merges(self) -> tuple[Merge, ...]:
        """All merges, in order."""
        return tuple(m for r in self.rounds for m in r)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The ledger of exact merges."""
        return tuple(e for m in self.merges for e in m.entries)

    def as_dict(self) -> dict[str, Any]:
        """JSON form; equal plans give equal text."""
        return {
            "onnxdup_plan": version_of(self.entries),
            "source": self.source,
            "method": self.method,
            "tau": self.tau,
            "constant_inputs": self.constant_inputs,
            "clones": clones_as_lists(self.clones),
            "rounds": [[m.as_dict() for m in r] for r in self.rounds],
        }

    def to_json(self) -> str:
        """Text of a plan file."""
        return json.dumps(self.as_dict(), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, file: object = None) -> MergePlan:
        """Read a plan file. InputError where it is not one."""
        try:
            d = json.loads(text)
            if d["onnxdup_plan"] not in READABLE:
                raise InputError(f"plan version {d['onnxdup_plan']} is not supported", file=file)
            rounds = tuple(tuple(Merge.from_dict(m) for m in r) for r in d["rounds"])
            fixed = bool(d.get("constant_inputs", False))
            clones = clones_of(d.get("clones", []))
            return cls(d["source"], d["method"], float(d["tau"]), rounds, fixed, clones)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"is not a merge plan ({type(error).__name__})", file=file, remedy="write one with --plan-out"
            ) from None


def clones_as_lists(clones: Sequence[Readers]) -> list[list[list[Any]]]:
    """JSON form of the readers that get copies."""
    return [[[node, slot] for node, slot in readers] for readers in clones]


def clones_of(lists: Any) -> tuple[Readers, ...]:
    """Inverse of `clones_as_lists`."""
    return tuple(tuple((str(node), int(slot)) for node, slot in readers) for readers in lists)
