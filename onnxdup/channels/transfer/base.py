"""What a transfer is, and what it may ask about a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxdup.channels.ids import Ids
from onnxdup.channels.relation import Array, Index, Mask, Relation
from onnxdup.channels.symmetry import Symmetry

Related: TypeAlias = Sequence[Relation | None]
Constants: TypeAlias = Sequence[Array | None]


@dataclass(frozen=True)
class PerChannel:
    """Values of a parameter along an axis with ids `ids`: `values()` is (len(ids), m), read when needed."""

    ids: Ids
    values: Callable[[], npt.NDArray[np.generic]]


Parameter: TypeAlias = PerChannel | float


class Pairs(Protocol):
    """What a transfer may ask about the group and the pairs (i, j) it is evaluated for."""

    i: Index
    j: Index
    ulps: float

    def of(self, parameter: Parameter) -> Array:
        """The parameter of every channel of the group: (channels, m)."""
        ...

    def stored(self, parameter: PerChannel) -> npt.NDArray[np.generic]:
        """The same in the stored type."""
        ...

    def places(self, ids: Ids) -> Index:
        """Where the channels of the group stand in `ids`, each once: (channels,)."""
        ...


class Transfer(Protocol):
    """See the module docstring."""

    @property
    def symmetry(self) -> Symmetry: ...
    def relate(self, h: Related, g: Pairs) -> Relation: ...
    def constant(self, v: Constants, g: Pairs) -> Array: ...


def only(items: Sequence[Relation | None]) -> Relation:
    """The one operand that carries the group."""
    return next(x for x in items if x is not None)


def only_constant(items: Constants) -> Array:
    """The one operand that carries the group."""
    return next(x for x in items if x is not None)


def uniform(values: Array, tolerance: npt.ArrayLike) -> tuple[Array, Mask]:
    """(m, copies) → one value per pair, and where all copies agree."""
    first = values[:, :1]
    return first[:, 0], np.asarray((np.abs(values - first) <= np.asarray(tolerance)).all(1), bool)
