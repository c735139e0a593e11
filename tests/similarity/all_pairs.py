"""All pairs in extended precision, and the filters the property tests draw."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

from onnxdup.similarity import ONE

METRICS = ("cosine", "copy", "absolute")


def brute_force(rows, metric="cosine"):
    """Similarity (K, K) in long double; pairs without a direction hold nan."""
    exact = np.asarray(rows, np.longdouble)
    with np.errstate(all="ignore"):
        gram = exact @ exact.T
        norms = np.sqrt(np.diag(gram))
        cosine = gram / np.outer(norms, norms)
        if metric == "copy":
            return np.asarray(2 * gram / (norms[:, None] ** 2 + norms[None, :] ** 2), np.float64)
        return np.asarray(np.abs(cosine) if metric == "absolute" else cosine, np.float64)


def decided_pairs(rows, tau, metric, slack=1e-14):
    """Pairs that are edges, and pairs that are none, beyond any float64 doubt."""
    similarity, tau = brute_force(rows, metric), min(tau, ONE)
    pairs = [*itertools.combinations(range(len(rows)), 2)]
    surely = {(i, j) for i, j in pairs if similarity[i, j] >= tau + slack}
    never = {(i, j) for i, j in pairs if not similarity[i, j] >= tau - slack}
    return surely, never


def taus():
    return st.one_of(st.sampled_from([1.0, 0.95, 0.9, 0.8, 0.5, 0.25, ONE]), st.floats(0.01, 1.0))


@st.composite
def filters(draw, most=24):
    """Random rows with scaled, negated and noisy copies, zero rows and non-finite rows."""
    count, width = draw(st.integers(1, most)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = rng.standard_normal((count, width))
    noise = draw(st.sampled_from([0.0, 1e-9, 1e-6, 1e-4, 1e-2, 0.3]))
    for target in range(count):
        if rng.random() < draw(st.sampled_from([0.0, 0.3, 0.9])):
            rows[target] = rows[rng.integers(count)] + noise * rng.standard_normal(width)
        if rng.random() < 0.3:
            rows[target] *= rng.choice([-1.0, 0.5, 2.0, 1e-3, 1e3])
    if draw(st.booleans()):
        rows[rng.integers(count)] = 0
    if draw(st.booleans()):
        rows[rng.integers(count), rng.integers(width)] = rng.choice([np.nan, np.inf, -np.inf])
    return rows.astype(draw(st.sampled_from([np.float64, np.float32, np.float16])))
