"""How similar are the filters of a layer: similarity graph, components, clusters, statistics, spectra.

Pure numpy and scipy: rows (K, d) in, arrays out; nothing here knows about models. Every function takes
plain rows or `Units(rows)`, which measures them once for several calls.
"""

from __future__ import annotations

from onnxdup.similarity.clusters import (
    complete_linkage,
    complete_linkage_to,
    single_linkage_to,
    smallest_cosine,
)
from onnxdup.similarity.edges import Edges, edge_blocks, similarity_edges
from onnxdup.similarity.folding import Partition, canonical, components, similarity_components
from onnxdup.similarity.leaders import leaders
from onnxdup.similarity.spectra import Spectrum, energy_rank, row_norms, spectrum
from onnxdup.similarity.survey import Survey, survey
from onnxdup.similarity.units import ONE, Metric, Units

__all__ = [
    "ONE",
    "Edges",
    "Metric",
    "Partition",
    "Spectrum",
    "Survey",
    "Units",
    "canonical",
    "complete_linkage",
    "complete_linkage_to",
    "components",
    "edge_blocks",
    "energy_rank",
    "leaders",
    "row_norms",
    "similarity_components",
    "similarity_edges",
    "single_linkage_to",
    "smallest_cosine",
    "spectrum",
    "survey",
]
