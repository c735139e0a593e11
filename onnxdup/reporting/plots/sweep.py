"""Accuracy against compression: the paper's Figure 8 for any model and any methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from onnxdup.errors import UsageError
from onnxdup.reporting.needs import needs
from onnxdup.reporting.plots.palette import DASHES, LIGHT, MARKERS, SERIES
from onnxdup.reporting.plots.svg import Chart, to_png, to_svg
from onnxdup.reporting.search_schema import SweepPoint, SweepReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Against = Literal["filters", "parameters", "macs", "bytes"]
SUFFIXES = (".svg", ".png")
_NAMES = {"filters": "filters", "parameters": "parameters", "macs": "MACs", "bytes": "bytes"}


def demand(path: Path) -> None:
    """UsageError, before any work, where the picture could not be drawn or written."""
    needs("--plot", "matplotlib")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError("a plot is .svg or .png", file=path)
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(
            "the plot cannot be written there", file=path, remedy="name a file in a folder that exists"
        )


def save(report: SweepReport, path: Path, against: Against = "filters") -> None:
    """Draws the report into an .svg or .png file."""
    demand(path)
    drawn = chart(report, against)
    try:
        if path.suffix.lower() == ".png":
            path.write_bytes(to_png(drawn))
        else:
            path.write_text(to_svg(drawn), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the plot cannot be written: {error.strerror}", file=path) from error


def chart(report: SweepReport, against: Against = "filters") -> Chart:
    """A line per method; the original as a dashed line, 95 % intervals as a band around it."""
    labelled = report.base.accuracy is not None
    lines = _lines(report, against, labelled)

    def draw(axes: Axes) -> None:
        _reference(axes, report.base, labelled)
        for number, (name, xs, ys) in enumerate(lines):
            place, again = number % len(SERIES), number // len(SERIES)
            axes.plot(
                xs,
                ys,
                color=LIGHT[SERIES[place]],
                marker=MARKERS[(place + again) % len(MARKERS)],
                dashes=DASHES[(place + again) % len(DASHES)] or (None, None),
                lw=1.5,
                ms=4,
                fillstyle="none" if again else "full",
                label=name,
            )
        axes.set_xlabel(f"{_NAMES[against]} removed, %")
        axes.set_ylabel("accuracy, %" if labelled else "relative error of the outputs")
        axes.grid(axis="y")
        axes.legend(loc="best")

    words = "; ".join(
        f"{name}: " + ", ".join(f"{y:.4g} at {x:.1f} %" for x, y in zip(xs, ys, strict=True))
        for name, xs, ys in lines
    )
    what = "Accuracy" if labelled else "Error"
    title = f"{what} against {_NAMES[against]} removed"
    return Chart("sweep", title, f"{title}. {words}.", title, draw, (460, 300))


def _lines(
    report: SweepReport, against: Against, labelled: bool
) -> list[tuple[str, list[float], list[float]]]:
    found = []
    for name in dict.fromkeys(p.method for p in report.points):
        own = [p for p in report.points if p.method == name and _value(p, labelled) is not None]
        at = sorted((_removed(report.base, p, against), _value(p, labelled) or 0.0) for p in own)
        if at:
            found.append((name, [x for x, _ in at], [y for _, y in at]))
    return found


def _removed(base: SweepPoint, point: SweepPoint, against: Against) -> float:
    before, after = getattr(base, against), getattr(point, against)
    return 100 * (1 - after / before) if before and after is not None else 0.0


def _value(point: SweepPoint, labelled: bool) -> float | None:
    if labelled:
        return None if point.accuracy is None else 100 * point.accuracy.top1
    return point.error


def _reference(axes: Axes, base: SweepPoint, labelled: bool) -> None:
    if labelled and base.accuracy is not None:
        interval = base.accuracy.top1_interval
        axes.axhspan(100 * interval.low, 100 * interval.high, color=LIGHT["panel"])
        axes.axhline(100 * base.accuracy.top1, color=LIGHT["axis"], lw=1, ls="--", label="original")
