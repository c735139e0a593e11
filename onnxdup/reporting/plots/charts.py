"""The charts of a layer: pair cosines, norms, 1 − eta against tau, singular values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxdup.reporting import schema
from onnxdup.reporting.plots.palette import LIGHT
from onnxdup.reporting.plots.svg import Chart
from onnxdup.reporting.portrait import Curve, Histogram, LayerPortrait
from onnxdup.reporting.view import count, number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Numbers = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]


def cosines(layer: LayerPortrait, tau: float | None) -> Chart | None:
    """All pair cosines, and every filter's cosine with its nearest neighbour."""
    found = layer.report.cosines
    if found is None:
        return None
    nearest = layer.weights.nearest if layer.weights else None
    after = layer.after.cosines if layer.after else None

    def draw(axes: Axes) -> None:
        pairs = np.array(found.counts)
        _area(axes, np.linspace(-1, 1, len(pairs) + 1), pairs, "all pairs")
        if after is not None:
            counts = np.array(after.counts)
            edges = np.linspace(-1, 1, len(counts) + 1)
            _outline(axes, edges, counts, "third", "all pairs, after merging", "--")
        if nearest is not None:
            _outline(axes, nearest.edges, nearest.counts, "second", "nearest neighbours", "-")
        if tau is not None:
            _threshold(axes, tau)
        axes.set_xlim(-1, 1)
        _plain(axes, "cosine", "density")

    kurtosis = "not defined" if math.isnan(found.kurtosis) else number(found.kurtosis)
    now = f" (after merging {number(after.kurtosis)})" if after is not None else ""
    words = (
        f"{count(found.pairs)} pairs, mean {found.mean:.2f}, standard deviation "
        f"{number(found.standard_deviation)}, kurtosis {kurtosis}{now} (normal: 3). A filter's nearest "
        f"neighbour has cosine {found.nearest_median:.2f} in the median, "
        f"{_fixed(found.nearest_largest)} at most."
    )
    return Chart("cosines", "Cosines of pairs", f"Histogram of pair cosines. {words}", words, draw)


def norms(layer: LayerPortrait) -> Chart | None:
    """Histogram of the filters' L2 norms."""
    found, facts = layer.weights.norms if layer.weights else None, layer.report.norms
    if found is None or facts is None:
        return None
    after = layer.weights_after.norms if layer.weights_after else None

    def draw(axes: Axes) -> None:
        axes.stairs(
            found.counts, found.edges, fill=True, color=LIGHT["wash"], ec=LIGHT["first"], label="filters"
        )
        if after is not None:
            axes.stairs(after.counts, after.edges, color=LIGHT["third"], ls="--", label="after merging")
            axes.legend(loc="upper right")
        axes.axvline(facts.median, color=LIGHT["axis"], lw=1, ls=":")
        axes.annotate(
            "median",
            (facts.median, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=8.5,
        )
        axes.set_xlim(left=0)
        _plain(axes, "L2 norm", "filters")
        _whole_numbers(axes)

    dead = f"; {count(layer.report.dead)} are zero" if layer.report.dead else ""
    words = f"From {number(facts.smallest)} to {number(facts.largest)}, median {number(facts.median)}{dead}."
    return Chart(
        "norms", "Norms", f"Histogram of L2 norms of {layer.report.filters} filters. {words}", words, draw
    )


def shares(layer: LayerPortrait) -> Chart | None:
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
        _plain(axes, "tau", "% of filters")

    words = "; ".join(
        f"tau {t.tau:g}: {count(t.components)} #CC, 1 − eta {percent(t.duplicate_share)}, "
        f"merge removes {count(t.removable)}"
        for t in taus
    )
    return Chart(
        "shares", "1 − eta against tau", f"Share of duplicates by threshold. {words}.", f"{words}.", draw
    )  # fmt: skip


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
        axes.axvline(rank, color=LIGHT["second"], lw=1.2, ls="--")
        right = rank < 0.6 * len(values)
        axes.annotate(
            "99 % of energy",
            (rank, 0.62),
            xycoords=("data", "axes fraction"),
            xytext=(4 if right else -4, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            fontsize=8.5,
        )
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, len(values) + 1)
        _plain(axes, "number", "singular value")

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


def _area(axes: Axes, edges: Floats, counts: Numbers, label: str) -> None:
    heights = density(Histogram(edges, counts.astype(np.int64)))
    axes.stairs(heights, edges, fill=True, color=LIGHT["wash"], ec=LIGHT["first"], label=label)


def _outline(axes: Axes, edges: Floats, counts: Numbers, role: str, label: str, dashes: str) -> None:
    heights = density(Histogram(edges, counts.astype(np.int64)))
    axes.stairs(heights, edges, color=LIGHT[role], lw=1.4, ls=dashes, label=label)
    axes.legend(loc="upper left")


def density(found: Histogram) -> Floats:
    """Counts as a density (n,): the area is one."""
    total = found.counts.sum()
    widths = np.diff(found.edges)
    return np.asarray(found.counts / (max(int(total), 1) * widths), np.float64)


def _values(axes: Axes, values: Floats, role: str, dashes: str, label: str) -> None:
    marker = "o" if len(values) <= 40 else ""
    axes.plot(
        np.arange(1, len(values) + 1), values, color=LIGHT[role], ls=dashes, marker=marker, ms=3, label=label
    )  # fmt: skip


def _threshold(axes: Axes, tau: float) -> None:
    axes.axvline(tau, color=LIGHT["axis"], lw=1, ls=":")
    axes.annotate(
        f"tau {tau:g}",
        (tau, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-3, -9),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
    )


def _plain(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.locator_params(axis="both", nbins=6)
    axes.tick_params(length=3)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
