"""The comparison on weights: filters are variables, their inputs are samples (the paper's Figure 4(e))."""

from __future__ import annotations

import math

import numpy as np

from onnxdup.channels import Layer
from onnxdup.evaluation.correspondence.alignment import Correspondence
from onnxdup.evaluation.correspondence.pairing import Pair
from onnxdup.reporting.comparison import schema
from onnxdup.reporting.comparison.build import Found, Job, side
from onnxdup.reporting.comparison.measure import Baseline, Blocks, bases, correlate, match
from onnxdup.similarity.matching import LARGEST

GRID_WORK = 3e10
"""Multiplications that the grid may take; beyond them only the paired layers are filled in."""


def on_weights(job: Job) -> Found:
    """Match the channels layer by layer, then compare the filters on the inputs that both have."""
    same = Correspondence(job.a, job.b, job.pairs)
    baseline, chosen = Baseline(job.how.seed), job.chosen()
    found = []
    for done, pair in enumerate(chosen):
        job.say(done, len(chosen), job.a.wired[pair.a].layer.node)
        found.append(_pair(job, same, pair, baseline))
    known = {(p.a, p.b): x.correlation for p, x in zip(chosen, found, strict=True)}
    whole = _work(job) <= GRID_WORK

    def value(i: int, j: int) -> float:
        if (i, j) in known:
            held = known[i, j]
            return held.mean if held else math.nan
        return _correlation(job, same, i, j) if whole else math.nan

    notes = () if whole else ("the grid holds the paired layers only: the rest would take too long",)
    grid = job.grid(value)
    job.say(len(chosen), len(chosen), "")
    return Found(tuple(found), grid, notes=notes)


def _pair(job: Job, same: Correspondence, pair: Pair, baseline: Baseline) -> schema.LayerPair:
    a, b = job.a.wired[pair.a].layer, job.b.wired[pair.b].layer
    columns = same.common(pair.a, pair.b)
    if not len(columns.first):
        return schema.LayerPair(
            side(a, a.rows()), side(b, b.rows()), pair.how, columns.inputs, 0, None, None, columns.note
        )
    x, y = same.rows(pair.a, pair.b, columns)
    few = max(a.filters, b.filters) <= LARGEST
    return schema.LayerPair(
        a=side(a, x),
        b=side(b, y),
        paired=pair.how,
        inputs=columns.inputs,
        columns=len(columns.first),
        correlation=correlate(*bases(x, y, job.how.energy)),
        matching=match(x, y, job.how.tau, baseline, (_blocks(a), _blocks(b))) if few else None,
        note="" if few else f"more than {LARGEST} filters: not matched",
    )


def _correlation(job: Job, same: Correspondence, i: int, j: int) -> float:
    """SV-CCA of two layers that need not be paired, if both have all their inputs in common."""
    columns = same.common(i, j)
    a, b = job.a.wired[i].layer, job.b.wired[j].layer
    if columns.inputs == "as stored" or not len(columns.first) == a.fan_in == b.fan_in:
        return math.nan
    found = correlate(*bases(*same.rows(i, j, columns), job.how.energy))
    return found.mean if found else math.nan


def _work(job: Job) -> float:
    """About as many multiplications as the singular values of all comparable pairs take."""
    sizes = [
        [(w.layer.fan_in, w.taps, w.layer.filters) for w in (net.wired[k] for k in at)]
        for net, at in zip(job.nets, job.shown, strict=True)
    ]
    return float(
        sum(
            4.0 * d * m * min(d, m) + 4.0 * d * n * min(d, n)
            for d, taps, m in sizes[0]
            for e, other, n in sizes[1]
            if (d, taps) == (e, other)
        )
    )


def _blocks(layer: Layer) -> Blocks:
    return np.asarray(layer.block_ids(), np.int64) if layer.blocks > 1 else None
