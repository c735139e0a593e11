"""The charts of a layer: pair cosines, norms, 1 − eta against tau, singular values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxdup.reporting import schema
from onnxdup.reporting.plots import marks
from onnxdup.reporting.plots.palette import LIGHT
from onnxdup.reporting.plots.svg import Chart
from onnxdup.reporting.portrait import Curve, Histogram, LayerPortrait
from onnxdup.reporting.view import count, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COARSER = ((300, 9), (3000, 3))
"""Below so many pairs, so many bins of a report become one."""
Floats = npt.NDArray[np.floating[Any]]


def cosines(layer: LayerPortrait, tau: float | None) -> Chart | None:
    """All pair cosines, above them every filter's cosine with its nearest neighbour."""
    found = layer.report.cosines
    if found is None:
        return None
    nearest = layer.weights.nearest if layer.weights else None
    after = layer.after.cosines if layer.after else None

    def draw(whole: Axes) -> None:
        axes = whole if nearest is None else _below(whole, nearest, tau)
        pairs = _binned(found)
        marks.area(axes, marks.density(pairs), pairs.edges, "before")
        if after is not None:
            left = _binned(after)
            marks.outline(axes, marks.density(left), left.edges, "after merging")
        axes.set_xlim(-1, 1)
        marks.plain(axes, "cosine", "density", ticks=4)
        marks.name(axes, "all pairs")
        if tau is not None and nearest is None:
            marks.line(axes, tau, f"tau {tau:g}", left=True)

    kurtosis = "not defined" if math.isnan(found.kurtosis) else number(found.kurtosis)
    now = f" (after merging {number(after.kurtosis)})" if after is not None else ""
    words = (
        f"{count(found.pairs)} pairs: mean {found.mean:.2f}, standard deviation "
        f"{number(found.standard_deviation)}, kurtosis {kurtosis}{now} (normal: 3). Nearest neighbours: "
        f"median {found.nearest_median:.2f}, largest {_fixed(found.nearest_largest)}."
    )
    return Chart("cosines", "Cosines", f"Histograms of cosines. {words}", words, draw, (360, 250))


def _below(whole: Axes, nearest: Histogram, tau: float | None) -> Axes:
    """The axes for all pairs, below those of nearest neighbours; both in the place of `whole`."""
    figure = whole.figure
    whole.remove()
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    above.stairs(nearest.counts, nearest.edges, fill=True, color=LIGHT["second"], lw=0)
    marks.plain(above, "", "filters", ticks=3)
    marks.name(above, "nearest neighbours")
    marks.whole_numbers(above, 3)
    if tau is not None:
        marks.line(above, tau, f"tau {tau:g}", left=True)
        below.axvline(tau, color=LIGHT["axis"], lw=1.1, ls=":")
    axes: Axes = below
    return axes


def _binned(found: schema.PairCosines) -> Histogram:
    """Pair cosines in fewer bins where there are few pairs; the last bin is what is left."""
    step = next((s for pairs, s in COARSER if found.pairs < pairs), 1)
    counts, edges = np.array(found.counts, np.int64), np.linspace(-1, 1, len(found.counts) + 1)
    starts = np.arange(0, len(counts), step)
    return Histogram(np.append(edges[starts], 1.0), np.add.reduceat(counts, starts))


def norms(layer: LayerPortrait) -> Chart | None:
    """Histogram of the filters' L2 norms."""
    found, facts = layer.weights.norms if layer.weights else None, layer.report.norms
    if found is None or facts is None:
        return None
    after = layer.weights_after.norms if layer.weights_after else None

    def draw(axes: Axes) -> None:
        marks.area(axes, found.counts, found.edges, "before")
        if after is not None:
            axes.stairs(
                after.counts, after.edges, color=LIGHT["third"], ls="--", lw=1.4, label="after merging"
            )
            axes.legend(loc="upper right")
        marks.line(axes, facts.median, "median", left=False)
        axes.set_xlim(left=0)
        marks.plain(axes, "L2 norm", "filters")
        marks.whole_numbers(axes)

    dead = f"; {count(layer.report.dead)} are zero" if layer.report.dead else ""
    words = f"From {number(facts.smallest)} to {number(facts.largest)}, median {number(facts.median)}{dead}."
    alt = f"Histogram of the L2 norms of {count(layer.report.filters)} filters. {words}"
    return Chart("norms", "Norms", alt, words, draw)


def shares(layer: LayerPortrait, tau: float | None) -> Chart | None:
    """The paper's 1 − eta against tau, and what `merge` would remove at the thresholds of the report."""
    taus = layer.report.taus
    if not taus:
        return None
    curve = (layer.weights.curve if layer.weights else None) or reported_curve(taus)
    after = layer.weights_after.curve if layer.weights_after else None

    def draw(axes: Axes) -> None:
        axes.plot(curve.taus, 100 * curve.shares, color=LIGHT["first"], lw=1.8, label="duplicates, 1 − eta")
        if after is not None:
            axes.plot(
                after.taus, 100 * after.shares, color=LIGHT["third"], ls="--", lw=1.6, label="after merging"
            )
        removed = [100 * t.removable / max(t.filters, 1) for t in taus]
        at = [t.tau for t in taus]
        axes.plot(at, removed, ls="", marker="o", ms=5, color=LIGHT["second"], label="merge removes")
        axes.set_ylim(-3, 103)
        axes.set_xlim(min(curve.taus[0], *(t.tau for t in taus)) - 0.01, 1.012)
        axes.legend(loc="best")
        marks.plain(axes, "tau", "% of filters")

    found = [
        f"tau {t.tau:g}: {count(t.components)} #CC, 1 − eta {percent(t.duplicate_share)}, "
        f"merge removes {count(t.removable)}"
        for t in taus
    ]
    near = next((words for t, words in zip(taus, found, strict=True) if t.tau == tau), found[-1])
    alt = f"Share of duplicates by threshold. {'; '.join(found)}."
    return Chart("shares", "1 − eta against tau", alt, f"At {near}.", draw)


def spectrum(layer: LayerPortrait) -> Chart | None:
    """Singular values, largest first, with the line at 99 % of the energy."""
    found = layer.report.spectrum or (layer.weights.spectrum if layer.weights else None)
    if found is None or not found.singular_values:
        return None
    after = layer.weights_after.spectrum if layer.weights_after else None
    values, rank = np.array(found.singular_values), found.rank_99

    def draw(axes: Axes) -> None:
        _values(axes, values, "first", "-", "singular values")
        if after is not None and after.singular_values:
            _values(axes, np.array(after.singular_values), "third", "--", "after merging")
            axes.legend(loc="upper right")
        left = rank > 0.6 * len(values)
        marks.line(axes, rank, "99 % of energy", height=0.62, left=left, role="second")
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, len(values) + 1)
        marks.plain(axes, "number", "singular value")

    complexity = number(found.trace_complexity)
    now = f" (after merging {after.rank_99} of {len(after.singular_values)})" if after else ""
    words = (
        f"99 % of the energy in {rank} of {len(values)}{now}; the largest is {number(float(values[0]))}; "
        f"trace complexity {complexity}."
    )
    return Chart("spectrum", "Singular values", f"Singular values, largest first. {words}", words, draw)


def reported_curve(taus: tuple[schema.AtTau, ...]) -> Curve:
    """1 − eta at the thresholds of a report."""
    some = sorted(taus, key=lambda t: t.tau)
    return Curve(np.array([t.tau for t in some]), np.array([t.duplicate_share for t in some]))


def _fixed(cosine: float) -> str:
    return "1" if cosine > 1 - 5e-4 else f"{cosine:.3f}"


def _values(axes: Axes, values: Floats, role: str, dashes: str, label: str) -> None:
    marker = "o" if len(values) <= 40 else ""
    axes.plot(
        np.arange(1, len(values) + 1), values, color=LIGHT[role], ls=dashes, marker=marker, ms=3, label=label
    )  # fmt: skip
