"""What a page shows of one model, as values: numbers and pixels, before any drawing.

`Portrait` joins a report with what only the weights tell. Everything that comes from the weights may be
absent; `skipped` then says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.reporting import schema
from onnxdup.reporting.search_schema import ShrinkReport

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Histogram:
    """Counts (n,) between edges (n + 1,)."""

    edges: Floats
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Curve:
    """The paper's 1 − eta at each tau, ascending; both (n,)."""

    taus: Floats
    shares: Floats


@dataclass(frozen=True)
class Matrix:
    """Mean cosines (m, m) between runs of filters in the order of their clusters.

    `per_cell` filters make one row of pixels; `clustered` is how many of the `filters` stand in clusters of
    two or more, which come first; `bounds` are the first filters of those clusters.
    """

    cosines: Floats
    per_cell: float
    filters: int
    clustered: int
    bounds: tuple[int, ...]


@dataclass(frozen=True)
class Tiles:
    """Filters as small pictures (n, h, w) or (n, h, w, 3), each divided by its largest magnitude: −1 … 1.

    `signed` pictures are shown on a two-sided colour scale, the others as colour or grey images.
    """

    pixels: npt.NDArray[np.float32]
    signed: bool
    words: str


@dataclass(frozen=True)
class Cluster:
    """Filters whose cosines are pairwise at least tau: the members, the worst pair, and pictures.

    The first tile is the mean of the unit filters, the others are the first members.
    """

    members: tuple[int, ...]
    smallest_cosine: float
    tiles: Tiles = field(repr=False)


@dataclass(frozen=True)
class Weights:
    """What the filters of one layer tell beyond the report; `tau` is that of clusters and matrix.

    `closest` is the most similar pair of a layer without clusters.
    """

    tau: float
    norms: Histogram | None
    nearest: Histogram | None
    curve: Curve | None
    matrix: Matrix | None
    spectrum: schema.Spectrum | None
    clusters: tuple[Cluster, ...]
    cluster_sizes: tuple[int, ...]
    gallery: Tiles | None
    closest: Cluster | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerPortrait:
    """A layer that is drawn: its report, what its weights tell, and the same after merging."""

    report: schema.LayerReport
    weights: Weights | None
    after: schema.LayerReport | None = None
    weights_after: Weights | None = None


@dataclass(frozen=True)
class Portrait:
    """One model on a page. `tau` is the threshold of verdict and pictures; `layers` are those drawn in
    detail; `merged` says what a merge did, `searched` how `shrink` found it.
    """

    report: schema.ModelReport
    tau: float
    layers: tuple[LayerPortrait, ...]
    merged: schema.MergeReport | None = None
    after: schema.ModelReport | None = None
    notes: tuple[str, ...] = ()
    searched: ShrinkReport | None = None
