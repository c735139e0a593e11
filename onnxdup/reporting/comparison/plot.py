"""The picture of a comparison: SV-CCA of layers with layers, and how well the filters of each pair match."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxdup.errors import UsageError
from onnxdup.reporting.comparison.schema import ComparisonReport, LayerPair
from onnxdup.reporting.comparison.view import name_of
from onnxdup.reporting.needs import needs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png")
_MOST_LABELS = 40
_CELL, _ROW = 0.42, 0.34
_FILLED, _CHANCE = "#3b6ea5", "#8a8a8a"


def check(paths: Iterable[Path]) -> None:
    """Raise `UsageError` where a picture could not be drawn: before the work, not after it."""
    for path in paths:
        if path.suffix.lower() not in FORMATS:
            raise UsageError("no kind of picture", file=path, remedy=f"name it {' or '.join(FORMATS)}")
        needs("a picture", "matplotlib")


def draw(report: ComparisonReport, path: Path) -> None:
    """Write the picture as SVG or PNG, by the name's extension. Same report, same bytes.

    Raises `UsageError` where matplotlib is missing or the file cannot be written.
    """
    check([path])
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "onnxdup", "font.size": 8, "axes.titlesize": 9}):
        rows, columns = len(report.grid.a), len(report.grid.b)
        height = max(2.4, 1.6 + max(rows * _CELL, len(report.pairs) * _ROW))
        figure = Figure(figsize=(4.6 + columns * _CELL + 3.2, min(height, 40)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(max(columns * _CELL, 2.4), 3.6))
        _heat(left, report)
        _matches(right, report)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
        try:
            figure.savefig(path, metadata=metadata, dpi=110)
        except OSError as error:
            raise UsageError(f"the picture cannot be written: {error.strerror}", file=path) from error


def _heat(axes: Axes, report: ComparisonReport) -> None:
    values = np.array(report.grid.correlation, np.float64).reshape(len(report.grid.a), len(report.grid.b))
    axes.set_title("SV-CCA (rows: layers of A, columns: layers of B)")
    if not values.size:
        axes.axis("off")
        return
    axes.set_facecolor("#eeeeee")
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    _names(axes, report)
    if values.size <= _MOST_LABELS * 4:
        for r, c in np.argwhere(np.isfinite(values)):
            colour = "white" if values[r, c] < 0.6 else "black"
            axes.text(c, r, f"{values[r, c]:.2f}", ha="center", va="center", color=colour, fontsize=7)
    colours: Any = axes.figure
    colours.colorbar(image, ax=axes, shrink=0.8)


def _names(axes: Axes, report: ComparisonReport) -> None:
    for names, axis, turn in ((report.grid.b, axes.xaxis, 90), (report.grid.a, axes.yaxis, 0)):
        step = max(1, -(-len(names) // _MOST_LABELS))
        axis.set_ticks(range(0, len(names), step), [_short(n) for n in names[::step]], rotation=turn)


def _matches(axes: Axes, report: ComparisonReport) -> None:
    """A box of |cosine| per pair of layers; a grey bar from 0 to what random directions reach."""
    axes.set_title("matched filters: |cosine|")
    axes.set_xlim(0, 1.02)
    shown = [p for p in report.pairs if p.matching]
    for place, pair in enumerate(shown):
        _box(axes, place, pair)
    axes.set_yticks(range(len(shown)), [_short(name_of(p)) for p in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.axvline(report.tau, color="black", linewidth=0.6, linestyle=":")
    axes.set_xlabel("boxes: quartiles, whiskers 5 to 95 %; grey: chance; dotted: tau")


def _box(axes: Axes, place: int, pair: LayerPair) -> None:
    found = pair.matching
    if found is None:
        return
    axes.barh(place, found.chance_high, height=0.7, color=_CHANCE, alpha=0.35, linewidth=0)
    values = np.abs(np.array([c for c in found.cosines if c == c]))
    axes.boxplot(
        values,
        positions=[place],
        orientation="horizontal",
        widths=0.45,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": _FILLED, "linewidth": 0.6},
        medianprops={"color": "#d9720f"},
    )


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"…{name[-27:]}"
