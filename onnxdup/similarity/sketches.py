"""All pairs of almost equal direction, without comparing all pairs.

Unit rows u, v with cosine >= tau lie within r = sqrt(2 - 2 tau) of each other, so do their images under any
orthonormal projection P: |Pu - Pv|_inf <= |u - v| <= r. So the pairs whose sketches differ by at most r in
every coordinate contain all edges at tau; a k-d tree lists them. Few others are among them: a random
coordinate of a unit row of width d spreads over about 1/sqrt(d), far more than r where tau is nearly 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxdup.similarity.units import Floats, Indices, Metric, Units

SKETCH = 12
"""Coordinates of a sketch."""
FEWEST = 512
"""Below so many rows all products are cheaper."""
_MOST_PER_ROW = 64
_SPREAD = 0.5


def worthwhile(units: Units, tau: float) -> bool:
    """Whether the sketches of random rows tell them apart at tau: few pairs agree in every coordinate."""
    radius = np.sqrt(2 - 2 * tau)
    return len(units.valid) >= FEWEST and units.width > SKETCH and radius * np.sqrt(units.width) < _SPREAD


def near_pairs(units: Units, tau: float, metric: Metric = "cosine") -> tuple[Indices, Indices] | None:
    """Pairs of rows (i, j), i != j, that contain every pair of similarity >= tau; None where they are many.

    Rows of all blocks; a pair may come twice. float64 throughout: rounding is covered by `fine_margin`.
    """
    from scipy.spatial import cKDTree  # deferred: a report that needs no sketches starts faster

    sketch = _sketches(units)
    radius = float(np.sqrt(2 - 2 * tau + 4 * units.fine_margin)) + 4 * units.fine_margin
    tree, pairs = cKDTree(sketch), []
    others = [tree] if metric != "absolute" else [tree, cKDTree(-sketch)]
    limit = _MOST_PER_ROW * len(sketch)
    if sum(int(tree.count_neighbors(other, radius, p=np.inf)) for other in others) > limit:
        return None
    for other in others:
        found = tree.sparse_distance_matrix(other, radius, p=np.inf, output_type="ndarray")
        pairs.append(np.stack([found["i"], found["j"]]))
    i, j = np.concatenate(pairs, axis=1)
    once = i < j
    return units.valid[i[once]], units.valid[j[once]]


def _sketches(units: Units) -> Floats:
    """Coordinates (valid rows, SKETCH) of unit rows in a random orthonormal frame, the same every time."""
    normal = np.random.default_rng(0).standard_normal((units.width, SKETCH))
    frame: npt.NDArray[np.float64] = np.linalg.qr(normal)[0]
    step = units.block_rows()
    starts = range(0, units.count, step)
    return np.concatenate([units.exact(slice(k, k + step)) @ frame for k in starts])[units.valid]
