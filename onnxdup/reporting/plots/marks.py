"""The marks that charts share: filled and outlined histograms, labelled lines, plain axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxdup.reporting.plots.palette import LIGHT
from onnxdup.reporting.portrait import Histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.floating[Any]]
Numbers = npt.NDArray[Any]
SMALL = 9.5


def area(axes: Axes, heights: Numbers, edges: Floats, label: str) -> None:
    """A filled histogram with an outline that is told from the ground."""
    axes.stairs(heights, edges, fill=True, color=LIGHT["wash"], lw=0)
    axes.stairs(heights, edges, color=LIGHT["first"], lw=0.9, label=label)


def outline(axes: Axes, heights: Numbers, edges: Floats, label: str) -> None:
    """A dashed outline over an area: the same after merging."""
    axes.stairs(heights, edges, color=LIGHT["third"], lw=1.4, ls="--", label=label)
    axes.legend(loc="upper right")


def name(axes: Axes, text: str) -> None:
    """What the axes show, in their upper left corner."""
    axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(5, -10), textcoords="offset points", fontsize=SMALL
    )


def beside(axes: Axes, text: str, x: float, y: float) -> None:
    """Words to the right of a point."""
    where = (x, y)
    axes.annotate(text, where, xytext=(5, 0), textcoords="offset points", va="center", fontsize=SMALL)


def line(
    axes: Axes, place: float, label: str, *, height: float = 1.0, left: bool, role: str = "axis"
) -> None:
    """A vertical line with its name beside it."""
    axes.axvline(place, color=LIGHT[role], lw=1.1, ls=":" if role == "axis" else "--")
    axes.annotate(
        label,
        (place, height),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if left else 4, -10 if height == 1 else 0),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=SMALL,
    )


def plain(axes: Axes, across: str, up: str, *, ticks: int = 5) -> None:
    """Names, few ticks, horizontal rules behind the data."""
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)
    axes.locator_params(axis="y", nbins=ticks)
    axes.tick_params(length=3)


def whole_numbers(axes: Axes, ticks: int = 5) -> None:
    """Counts have no fractions."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(ticks, integer=True))


def density(found: Histogram) -> Floats:
    """Counts as a density (n,): the area is one."""
    total = max(int(found.counts.sum()), 1)
    return np.asarray(found.counts / (total * np.diff(found.edges)), np.float64)
