"""The numbers of one pair of layers: SV-CCA and the best matching, each with what chance gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdup.errors import UsageError
from onnxdup.reporting.comparison.schema import Correlation, Matching
from onnxdup.similarity.correlation import canonical_correlations, chance_correlation, subspace
from onnxdup.similarity.matching import LARGEST, best_match, chance_match
from onnxdup.similarity.units import Floats, Units

Rows = npt.NDArray[np.floating]
Blocks = npt.NDArray[np.int64] | None
DRAWN = 200
"""Matched random pairs that a baseline has at least; small layers are drawn several times."""


@dataclass
class Baseline:
    """Matched random directions, drawn once per size."""

    seed: int
    known: dict[tuple[int, int, int], Floats] = field(default_factory=dict)

    def of(self, first: int, second: int, width: int) -> Floats:
        """|cosine| of matched random directions, see `chance_match`."""
        key = (first, second, width)
        if key not in self.known:
            draws = max(1, DRAWN // max(1, min(first, second)))
            self.known[key] = chance_match(first, second, width, seed=self.seed, draws=draws)
        return self.known[key]


def correlate(first: Floats, second: Floats) -> Correlation | None:
    """SV-CCA of two subspaces as `subspace` returns them; None where one is empty."""
    values = canonical_correlations(first, second)
    if not len(values):
        return None
    return Correlation(
        mean=float(values.mean()),
        chance=chance_correlation(first.shape[1], second.shape[1], first.shape[0] - 1),
        rank_a=first.shape[1],
        rank_b=second.shape[1],
        samples=first.shape[0],
        values=tuple(values.tolist()),
    )


def bases(first: Rows, second: Rows, energy: float) -> tuple[Floats, Floats]:
    """Both subspaces of weights (filters, samples)."""
    return subspace(first, energy), subspace(second, energy)


def match(
    first: Rows, second: Rows, tau: float, baseline: Baseline, blocks: tuple[Blocks, Blocks] = (None, None)
) -> Matching | None:
    """The matching of rows (filters, width); None where no two filters have a direction.

    Raises `UsageError` where there are too many filters to match.
    """
    if max(len(first), len(second)) > LARGEST:
        raise UsageError(f"more than {LARGEST} filters: not matched")
    a, b = Units(first), Units(second)
    found = best_match(a, b, first_blocks=blocks[0], second_blocks=blocks[1])
    if not len(found.first):
        return None
    size = np.abs(found.cosine)
    chance = _chance(a, b, blocks, baseline)
    partners, cosines = np.full(a.count, -1), np.full(a.count, np.nan)
    partners[found.first], cosines[found.first] = found.second, found.cosine
    return Matching(
        pairs=len(size),
        mean=float(size.mean()),
        median=float(np.median(size)),
        above=float((size >= min(tau, 1 - 1e-6)).mean()),
        opposite=float((found.cosine < 0).mean()),
        chance=float(chance.mean()),
        chance_high=float(np.quantile(chance, 0.95)),
        unmatched_a=a.count - len(size),
        unmatched_b=b.count - len(size),
        partners=tuple(partners.tolist()),
        cosines=tuple(cosines.tolist()),
    )


def _chance(a: Units, b: Units, blocks: tuple[Blocks, Blocks], baseline: Baseline) -> Floats:
    """All blocks have the size of the first."""
    counts = [_per_block(units, ids) for units, ids in zip((a, b), blocks, strict=True)]
    return baseline.of(counts[0], counts[1], a.width)


def _per_block(units: Units, ids: Blocks) -> int:
    held: Mapping[int, int] = {0: len(units.valid)}
    if ids is not None:
        keys, sizes = np.unique(ids[units.valid], return_counts=True)
        held = dict(zip(keys.tolist(), sizes.tolist(), strict=True))
    return max(1, round(sum(held.values()) / max(1, len(held))))
