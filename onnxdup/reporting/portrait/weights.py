"""What a layer's filters tell beyond its report: norms, the curve of 1 − eta, clusters, their matrix.

Memory stays at a few times the layer's own; what would cost more is skipped, and the reason said.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxdup.channels import Layer
from onnxdup.reporting import schema
from onnxdup.reporting.measure import DENSE_LIMIT, spectrum_of
from onnxdup.reporting.portrait.forms import Form, form_of
from onnxdup.reporting.portrait.values import Cluster, Curve, Histogram, Indices, Matrix, Weights
from onnxdup.reporting.portrait.views import ImageView
from onnxdup.similarity import Survey, Units, complete_linkage, smallest_cosine, survey

GRID = tuple(round(1 - k / 50, 2) for k in range(36))
"""Thresholds of the curve of 1 − eta: 1, .98, … .3."""
BINS = 40
MATRIX_SIDE = 288
SHOWN_CLUSTERS = 8
SHOWN_MEMBERS = 11
SHOWN_FILTERS = 60
PAIR_WORK = 4e11
"""Multiplications of a pass over all pairs up to which it is done once more (seconds)."""
SPECTRUM_WORK = 1.5e10
Blocks = npt.NDArray[np.int64]
Rows = npt.NDArray[np.generic]


def weights_of(
    layer: Layer, report: schema.LayerReport, tau: float, view: ImageView | None, *, pictures: bool = True
) -> Weights:
    """Numbers and pictures of one layer's filters; clusters and matrix at `tau`.

    Where the layer has no cluster at `tau`, the next lower threshold of the report that has one is taken.
    """
    rows = layer.rows()
    units, blocks = Units(rows), layer.block_ids() if layer.blocks > 1 else None
    skipped: list[str] = []
    spectrum = report.spectrum or _spectrum(units, skipped)
    if float(units.count) ** 2 * units.width > PAIR_WORK:
        skipped.append(
            f"clusters, curve and matrix: {units.count:,} filters of {units.width:,} weights are too many "
            "pairs to compare again for a picture"
        )
        norms = _histogram(units.norms())
        return Weights(tau, norms, None, None, None, spectrum, (), (), None, skipped=tuple(skipped))
    found = survey(units, GRID, blocks=blocks)
    tau = _telling(report, tau)
    labels = complete_linkage(units, tau, blocks=blocks, dense_limit=DENSE_LIMIT)
    members = _clusters(labels)
    form = form_of(layer, rows, view) if pictures and units.width else None
    return Weights(
        tau=tau,
        norms=_histogram(found.norms),
        nearest=_histogram(found.nearest_cosine, (-1.0, 1.0)),
        curve=_curve(found),
        matrix=_matrix(units, members, found) if units.count > 1 else None,
        spectrum=spectrum,
        clusters=_shown(units, rows, members[:SHOWN_CLUSTERS], form) if form else (),
        cluster_sizes=tuple(len(m) for m in members),
        gallery=form.tiles(rows[_spaced(len(rows))]) if form and not form.signed else None,
        closest=_closest(units, rows, found, form) if form and not members else None,
        skipped=tuple(skipped),
    )


def _spectrum(units: Units, skipped: list[str]) -> schema.Spectrum | None:
    if float(units.count) * units.width * min(units.count, units.width) <= SPECTRUM_WORK:
        return spectrum_of(units)
    skipped.append(
        f"singular values: a {units.count:,} × {units.width:,} matrix takes long; --spectra has them"
    )
    return None


def _telling(report: schema.LayerReport, tau: float) -> float:
    """The highest threshold up to `tau` at which filters of the layer form clusters; `tau` without any."""
    lower = sorted((t.tau for t in report.taus if t.tau <= tau and t.clusters < t.filters), reverse=True)
    return lower[0] if lower else tau


def _histogram(values: npt.NDArray[np.float64], span: tuple[float, float] | None = None) -> Histogram | None:
    """Finite values in equal bins, from 0 or over `span`."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    counts, edges = np.histogram(finite, BINS, span or (0.0, float(finite.max()) * 1.02 or 1.0))
    return Histogram(edges, counts.astype(np.int64))


def _curve(found: Survey) -> Curve | None:
    filters = len(found.norms)
    if not filters:
        return None
    shares = 1 - np.array(found.components) / filters
    order = np.argsort(found.taus)
    return Curve(np.array(found.taus)[order], shares[order])


def _clusters(labels: Indices) -> list[Indices]:
    """Members of every cluster of two or more, the largest first."""
    sizes = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(sizes)[:-1])
    some = [part for part in parts if len(part) > 1]
    return sorted(some, key=lambda part: (-len(part), int(part[0])))


def _matrix(units: Units, members: list[Indices], found: Survey) -> Matrix:
    """Clusters first, then the other filters by how near their nearest neighbour is."""
    grouped = np.concatenate([np.empty(0, np.intp), *members])
    alone = np.setdiff1d(np.arange(units.count), grouped)
    nearest = np.where(np.isnan(found.nearest_cosine), -2, found.nearest_cosine)
    alone = alone[np.argsort(-nearest[alone], kind="stable")]
    order = np.concatenate([grouped, alone]).astype(np.intp)
    side = min(units.count, MATRIX_SIDE)
    starts = np.linspace(0, units.count, side, endpoint=False).astype(np.intp)
    means = _means(units, order, starts)
    bounds = np.cumsum([0, *(len(m) for m in members)])
    return Matrix(
        (means @ means.T).astype(np.float32),
        units.count / side,
        units.count,
        len(grouped),
        tuple(bounds[:-1].tolist()),
    )


def _means(units: Units, order: Indices, starts: Indices) -> npt.NDArray[np.float64]:
    """Mean unit filter (cells, d) of each run of `order`: the products of two are mean cosines."""
    ends = np.append(starts[1:], len(order))
    means = np.empty((len(starts), units.width))
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        means[number] = units.exact(order[start:end]).mean(axis=0)
    return means


def _shown(units: Units, rows: Rows, members: list[Indices], form: Form) -> tuple[Cluster, ...]:
    shown = []
    for part in members:
        labels = np.zeros(len(part), np.intp)
        worst = float(smallest_cosine(rows[part], labels)[0])
        mean = units.exact(part).mean(axis=0, keepdims=True)
        first = units.exact(part[:SHOWN_MEMBERS])
        shown.append(Cluster(tuple(part.tolist()), worst, form.tiles(np.concatenate([mean, first]))))
    return tuple(shown)


def _closest(units: Units, rows: Rows, found: Survey, form: Form) -> Cluster | None:
    if np.isnan(found.nearest_cosine).all():
        return None
    one = int(np.nanargmax(found.nearest_cosine))
    pair = np.sort(np.array([one, int(found.nearest[one])], np.intp))
    return _shown(units, rows, [pair], form)[0]


def _spaced(count: int) -> Indices:
    """Up to `SHOWN_FILTERS` of the filters, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, SHOWN_FILTERS)).astype(np.intp))
