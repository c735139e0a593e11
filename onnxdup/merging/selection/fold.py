"""Model folding: clusters of the concatenated rows by k-means or by Ward's method.

Wang et al., "Forget the data and fine-tuning! Just fold the network to compress", ICLR 2025, for k-means on
the effective rows; Ward's agglomeration on rows and what the next layers read of each channel.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward
from scipy.cluster.vq import kmeans2

from onnxdup.merging.exact import columns
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import TINY, Problem
from onnxdup.merging.selection import linkage
from onnxdup.merging.selection.chance import generator
from onnxdup.merging.selection.clusters import Aim, Clusters

ROUNDS = 30
FEATURES = 4096
"""Rows longer than this are replaced by their coordinates in the space that they span."""


def kmeans(problem: Problem, aim: Aim) -> Clusters:
    """k-means on the effective rows."""
    rows = compressed(np.concatenate(problem.parts[:1] + problem.carriers, 1))
    count = linkage.wanted(problem, aim)
    seeds = generator(problem, aim)
    _, labels = kmeans2(rows, count, iter=ROUNDS, minit="++", rng=seeds, missing="warn")
    return Clusters(_dense(labels))


def agglomerate(problem: Problem, aim: Aim) -> Clusters:
    """Ward's method on [rows ; what is read]."""
    readers = [s for s in problem.group.sinks if s.use is not None]
    read = [columns(s, problem.reader).astype(np.float64) for s in readers]
    made = np.concatenate([problem.rows, *problem.carriers], 1)
    tree = ward(compressed(np.concatenate([_level(made), *map(_level, read)], 1)))
    return Clusters(_dense(fcluster(tree, linkage.wanted(problem, aim), "maxclust")))


def _level(rows: Array) -> Array:
    """Rows of mean square 1: what is made of a channel and what is read of it count alike."""
    return np.asarray(rows / max(float(np.sqrt((rows**2).sum(1).mean())), TINY))


def compressed(rows: Array) -> Array:
    """The same distances with at most as many features as rows."""
    if rows.shape[1] <= min(FEATURES, len(rows)):
        return rows
    values, vectors = np.linalg.eigh(rows @ rows.T)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _dense(labels: np.ndarray) -> Index:
    """Labels 0 … k − 1."""
    return np.asarray(np.unique(labels, return_inverse=True)[1].ravel(), np.int64)
