"""The numbers of one layer, from its filters: one pass over all pairs for everything but spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdup.reporting import schema
from onnxdup.similarity import Survey, Units, complete_linkage, spectrum, survey

Rows = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Measured:
    """What `LayerReport` says about the filters alone."""

    dead: int
    norms: schema.Norms | None
    cosines: schema.PairCosines | None
    spectrum: schema.Spectrum | None
    note: str
    taus: tuple[schema.AtTau, ...]


def measure(
    rows: Rows, taus: Sequence[float], *, blocks: npt.NDArray[np.int64] | None, spectra: bool, movable: bool
) -> Measured:
    """Statistics of filters rows (K, d); filters of different `blocks` (K,) are never compared."""
    units = Units(rows)
    found = survey(units, tuple(taus), blocks=blocks)
    return Measured(
        dead=len(found.zero),
        norms=_norms(found),
        cosines=_cosines(found),
        spectrum=_spectrum(units) if spectra else None,
        note=_note(found),
        taus=tuple(_at(units, found, k, blocks, movable) for k in range(len(taus))),
    )


def at_tau(tau: float, filters: int, components: int, clusters: int, removable: int) -> schema.AtTau:
    """Counts and the paper's eta = #CC / #filters."""
    eta = components / filters if filters else 1.0
    return schema.AtTau(tau, filters, components, eta, 1 - eta, clusters, removable)


def _at(
    units: Units, found: Survey, k: int, blocks: npt.NDArray[np.int64] | None, movable: bool
) -> schema.AtTau:
    clusters = _clusters(units, found, k, blocks)
    removable = units.count - clusters if movable else 0
    return at_tau(found.taus[k], units.count, found.components[k], clusters, removable)


def _clusters(units: Units, found: Survey, k: int, blocks: npt.NDArray[np.int64] | None) -> int:
    """Complete-linkage clusters: only components of three or more filters can differ from components."""
    sizes = np.bincount(found.labels[k])
    if sizes.max(initial=0) < 3:
        return len(sizes)
    members = np.flatnonzero(sizes[found.labels[k]] >= 3)
    part = None if blocks is None else blocks[members]
    inside = complete_linkage(units.rows[members], found.taus[k], blocks=part)
    return int((sizes < 3).sum()) + int(inside.max()) + 1


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


def _spectrum(units: Units) -> schema.Spectrum:
    found = spectrum(units)
    return schema.Spectrum(tuple(found.values.tolist()), found.energy_rank, found.trace_complexity)


def _note(found: Survey) -> str:
    if not len(found.nonfinite):
        return ""
    return f"{len(found.nonfinite)} filters hold NaN or infinity and are compared with none"
