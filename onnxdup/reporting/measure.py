"""The numbers of one layer, from its filters: one pass over all pairs for everything but spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxdup.reporting import schema
from onnxdup.similarity import Metric, Survey, Units, complete_linkage, spectrum, survey

Rows = npt.NDArray[np.generic]
Blocks = npt.NDArray[np.int64]
Labels = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
DENSE_LIMIT = 8_000
"""Members of a component up to which all distances are held (about 0.5 GB at the limit)."""


@dataclass(frozen=True)
class Measured:
    """What `LayerReport` says about the filters alone; `clusters` counts complete-linkage clusters at each
    tau.

    `lengths` (K,) are the L2 norms, `nearest` (K,) each filter's largest cosine with another (-1 without),
    `largest_absolute` is an upper bound of |cosine| over all pairs, `one_block` says that all filters read
    the same inputs.
    """

    filters: int
    dead: int
    norms: schema.Norms | None
    cosines: schema.PairCosines | None
    spectrum: schema.Spectrum | None
    note: str
    components: tuple[int, ...]
    clusters: tuple[int, ...]
    lengths: Floats = field(repr=False)
    nearest: Floats = field(repr=False)
    largest_absolute: float
    one_block: bool


def measure(rows: Rows, taus: Sequence[float], *, blocks: Blocks | None, spectra: bool) -> Measured:
    """Statistics of filters rows (K, d); filters of different `blocks` (K,) are never compared."""
    units = Units(rows)
    found = survey(units, tuple(taus), blocks=blocks)
    nearest = np.where(np.isnan(found.nearest_cosine), -1.0, found.nearest_cosine)
    return Measured(
        filters=units.count,
        dead=len(found.zero),
        norms=_norms(found),
        cosines=_cosines(found),
        spectrum=spectrum_of(units) if spectra else None,
        note=_note(found),
        components=found.components,
        clusters=tuple(count_clusters(units, found.labels[k], tau, blocks) for k, tau in enumerate(taus)),
        lengths=found.norms,
        nearest=nearest,
        largest_absolute=max(float(nearest.max(initial=-1.0)), _most_opposed(found)),
        one_block=blocks is None,
    )


def at_tau(tau: float, filters: int, components: int, clusters: int, removable: int) -> schema.AtTau:
    """Counts and the paper's eta = #CC / #filters."""
    eta = components / filters if filters else 1.0
    return schema.AtTau(tau, filters, components, eta, 1 - eta, clusters, removable)


def count_clusters(
    units: Units, components: Labels, tau: float, blocks: Blocks | None = None, metric: Metric = "cosine"
) -> int:
    """Complete-linkage clusters, given the components at tau: those of one or two members are clusters."""
    sizes = np.bincount(components)
    if sizes.max(initial=0) < 3:
        return len(sizes)
    members = np.flatnonzero(sizes[components] >= 3)
    part = None if blocks is None else blocks[members]
    inside = complete_linkage(units.rows[members], tau, metric=metric, blocks=part, dense_limit=DENSE_LIMIT)
    return int((sizes < 3).sum()) + int(inside.max()) + 1


def _most_opposed(found: Survey) -> float:
    """An upper bound of −cosine over all pairs, from the histogram."""
    bins = np.flatnonzero(found.histogram)
    return float(-found.bin_edges[bins[0]]) + 1e-3 if len(bins) else -1.0


def _norms(found: Survey) -> schema.Norms | None:
    norms = found.norms[np.isfinite(found.norms)]
    if not len(norms):
        return None
    return schema.Norms(float(norms.min()), float(np.median(norms)), float(norms.max()))


def _cosines(found: Survey) -> schema.PairCosines | None:
    if not found.pairs:
        return None
    nearest = found.nearest_cosine[~np.isnan(found.nearest_cosine)]
    return schema.PairCosines(
        pairs=found.pairs,
        mean=found.mean,
        standard_deviation=float(np.sqrt(found.variance)),
        kurtosis=found.kurtosis,
        counts=tuple(found.histogram.tolist()),
        nearest_median=float(np.median(nearest)),
        nearest_largest=float(nearest.max()),
    )


def spectrum_of(units: Units) -> schema.Spectrum:
    """Singular values of the filter matrix and what the paper reads from them."""
    found = spectrum(units)
    return schema.Spectrum(tuple(found.values.tolist()), found.energy_rank, found.trace_complexity)


def _note(found: Survey) -> str:
    if not len(found.nonfinite):
        return ""
    return f"{len(found.nonfinite)} filters hold NaN or infinity and are compared with none"
