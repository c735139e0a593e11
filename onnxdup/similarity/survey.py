"""What a report says about a layer's filters, from one pass over all pairs.

Components at several taus, histogram and kurtosis of all pair cosines (paper, section 3), nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxdup.errors import UsageError
from onnxdup.similarity.edges import Screen
from onnxdup.similarity.folding import ComponentFold
from onnxdup.similarity.tiles import Tile, groups, tiles
from onnxdup.similarity.units import Floats, Indices, Metric, Singles, Units, check_metric

TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)
BINS = 201
"""Odd, so that cosine 0 lies in the middle of a bin."""
_LARGEST_BINS = 253
_STRIP = 1 << 17


@dataclass(frozen=True)
class Survey:
    """Similarity of the filters of one layer (K filters)."""

    taus: tuple[float, ...]
    labels: tuple[Indices, ...]
    """Component labels (K,) at each tau, of the metric asked for."""
    pairs: int
    """Pairs of filters with a cosine: both have a direction and are of the same block."""
    histogram: NDArray[np.int64]
    """Number of pair cosines in each of the equal bins over [-1, 1]; edges are good to `Units.margin`."""
    mean: float
    """Mean pair cosine; nan without pairs."""
    variance: float
    kurtosis: float
    """Fourth standardised moment of the pair cosines (3 for a normal distribution); nan if they do not
    vary.
    """
    nearest: Indices
    """(K,) a filter of largest cosine (float32 products choose it), -1 where there is none."""
    nearest_cosine: Floats
    """(K,) its cosine in float64, nan where there is none."""
    norms: Floats
    zero: Indices
    nonfinite: Indices

    @property
    def components(self) -> tuple[int, ...]:
        """The paper's #CC at each tau; zero filters count as one component each."""
        return tuple(int(labels.max(initial=-1)) + 1 for labels in self.labels)

    @property
    def bin_edges(self) -> Floats:
        """Edges of the histogram's bins (bins + 1,)."""
        return np.linspace(-1, 1, len(self.histogram) + 1)


def survey(
    rows: ArrayLike | Units,
    taus: Sequence[float] = TAUS,
    *,
    metric: Metric = "cosine",
    blocks: ArrayLike | None = None,
    bins: int = BINS,
    block_rows: int | None = None,
) -> Survey:
    """Measure the filters rows (K, d) of a layer in one pass over all pairs of the same block.

    `metric` and `taus` define the components; everything else is about plain cosines. Raises `UsageError`
    for a bad tau, metric, shape or more than 253 bins.
    """
    check_metric(metric)
    units = Units.of(rows)
    fold = ComponentFold(Screen(units, metric), taus)
    spread, nearest = CosineSpread(units, blocks, bins), NearestNeighbours(units.count)
    for tile in tiles(units, blocks, block_rows):
        if taus:
            fold.add(tile)
        spread.add(tile)
        nearest.add(tile)
    neighbours = nearest.index(units)
    return Survey(
        taus=tuple(taus), labels=fold.labels(),
        pairs=spread.pairs, histogram=spread.histogram(),
        mean=spread.mean, variance=spread.variance(), kurtosis=spread.kurtosis(),
        nearest=neighbours, nearest_cosine=_cosines(units, neighbours),
        norms=units.norms(), zero=units.zero, nonfinite=units.nonfinite,
    )  # fmt: skip


class CosineSpread:
    """Consumer of tiles: histogram and central moments of all pair cosines.

    The mean is known beforehand from sum_ij <u_i, u_j> = ||sum_i u_i||^2, so the sums of the pass are
    central.
    """

    def __init__(self, units: Units, blocks: ArrayLike | None = None, bins: int = BINS) -> None:
        if not 1 <= bins <= _LARGEST_BINS:
            raise UsageError(f"a histogram needs 1 to {_LARGEST_BINS} bins, not {bins}")
        self.pairs, self.mean = _mean_cosine(units, groups(units, blocks))
        self._bins = bins
        self._counts = np.zeros(256, np.int64)
        self._second = self._fourth = 0.0

    def add(self, tile: Tile) -> None:
        """Count one tile, a strip of rows at a time so that the work stays in cache."""
        height, width = tile.cosines.shape
        codes = np.empty((height, width), np.uint8)
        weight = 0.5 if tile.diagonal else 1.0
        step = max(1, _STRIP // width)
        for start in range(0, height, step):
            strip = tile.cosines[start : start + step]
            codes[start : start + step] = self._codes(strip)
            second, fourth = self._moments(strip, start if tile.diagonal else None)
            self._second += weight * second
            self._fourth += weight * fourth
        if tile.diagonal:
            np.fill_diagonal(codes, 255)
        counts = _count_bytes(codes.ravel())
        self._counts += counts // 2 if tile.diagonal else counts

    def histogram(self) -> NDArray[np.int64]:
        """Counts (bins,); rounding just outside [-1, 1] belongs to the outer bins."""
        counts = self._counts[: self._bins].copy()
        counts[-1] += self._counts[self._bins]
        return counts

    def variance(self) -> float:
        """Population variance of the pair cosines."""
        return self._second / self.pairs if self.pairs else np.nan

    def kurtosis(self) -> float:
        """m4 / m2^2; nan where the spread is below float32 rounding."""
        variance = self.variance()
        return self._fourth / self.pairs / variance**2 if variance > 1e-12 else np.nan

    def _codes(self, strip: Singles) -> NDArray[np.uint8]:
        scaled = strip + np.float32(1)
        scaled *= np.float32(self._bins / 2)
        return scaled.astype(np.uint8)

    def _moments(self, strip: Singles, diagonal: int | None) -> tuple[float, float]:
        """Sums of second and fourth powers about the mean, without a diagonal that starts in that column."""
        square = strip - np.float32(self.mean)
        square *= square
        if diagonal is not None:
            np.fill_diagonal(square[:, diagonal:], 0)
        ones = np.ones(strip.shape[1], np.float32)
        return _total(square @ ones), _total(np.einsum("ij,ij->i", square, square))


class NearestNeighbours:
    """Consumer of tiles: for each filter one of largest cosine, by float32 products, ties to the smallest
    index.
    """

    def __init__(self, count: int) -> None:
        self._best = np.full(count, -2, np.float32)
        self._place: Indices = np.full(count, -1)
        self._places: list[Indices] = []

    def add(self, tile: Tile) -> None:
        """Compare one tile's pairs with the best so far; which column it was is asked only at the end."""
        if tile.diagonal:
            np.fill_diagonal(tile.cosines, -2)
        self._improve(tile.rows, tile.cosines.max(axis=1), tile.cols)
        if tile.diagonal:
            np.fill_diagonal(tile.cosines, 0)
        else:
            self._improve(tile.cols, tile.cosines.max(axis=0), tile.rows)

    def index(self, units: Units) -> Indices:
        """Neighbour (K,) of each filter, -1 for none."""
        index = np.full(len(self._place), -1)
        order = np.argsort(self._place, kind="stable")
        bounds = np.searchsorted(self._place[order], np.arange(len(self._places) + 1))
        for number, others in enumerate(self._places):
            filters = order[bounds[number] : bounds[number + 1]]
            if len(filters):
                cosines = units.screen(filters) @ units.screen(others).T
                cosines[filters[:, None] == others[None, :]] = -2
                index[filters] = others[cosines.argmax(axis=1)]
        return index

    def _improve(self, filters: Indices, largest: Singles, others: Indices) -> None:
        better = filters[largest > self._best[filters]]
        if len(better):
            self._place[better] = len(self._places)
            self._places.append(others)
            self._best[filters] = np.maximum(self._best[filters], largest)


def _cosines(units: Units, neighbours: Indices) -> Floats:
    result = np.full(len(neighbours), np.nan)
    some = np.flatnonzero(neighbours >= 0)
    result[some] = units.cosine(some, neighbours[some])
    return result


def _mean_cosine(units: Units, members: list[Indices]) -> tuple[int, float]:
    pairs = sum(len(part) * (len(part) - 1) // 2 for part in members)
    total = 0.0
    for part in members:
        step = units.block_rows()
        sums = np.zeros(units.width)
        for start in range(0, len(part), step):
            sums += units.exact(part[start : start + step]).sum(axis=0)
        total += (float(sums @ sums) - len(part)) / 2
    return pairs, total / pairs if pairs else np.nan


def _total(row_sums: NDArray[np.floating[Any]]) -> float:
    return float(row_sums.sum(dtype=np.float64))


def _count_bytes(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Occurrences (256,) of each byte; counting two bytes at a time halves the work of a large array."""
    if len(codes) < 1 << 16:
        return np.bincount(codes, minlength=256).astype(np.int64)
    even = len(codes) & ~1
    both = np.bincount(codes[:even].view(np.uint16), minlength=1 << 16).reshape(256, 256)
    counts: NDArray[np.int64] = both.sum(axis=0) + both.sum(axis=1) + np.bincount(codes[even:], minlength=256)
    return counts
