"""Charts as SVG by matplotlib: small, with real text, and either in fixed colours or in those of the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from onnxdup.reporting.plots.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "onnxdup",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,
    "text.color": LIGHT["ink"],
    "axes.facecolor": "none",
    "axes.edgecolor": LIGHT["axis"],
    "axes.labelcolor": LIGHT["quiet"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.6,
    "xtick.color": LIGHT["axis"],
    "ytick.color": LIGHT["axis"],
    "xtick.labelcolor": LIGHT["quiet"],
    "ytick.labelcolor": LIGHT["quiet"],
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "path.simplify": True,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Chart:
    """A drawing with words for those who cannot see it (`alt`) and for those who can (`caption`)."""

    name: str
    title: str
    alt: str
    caption: str
    draw: Callable[[Axes], None] = field(repr=False, compare=False)
    size: tuple[int, int] = (360, 230)


def to_svg(chart: Chart) -> str:
    """A file of its own, in light colours on white."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{_labelled(_drawn(chart, LIGHT["paper"]), chart)}\n'


def to_inline_svg(chart: Chart, prefix: str) -> str:
    """An element for a page: colours are the page's custom properties, ids start with `prefix`."""
    text = _labelled(_drawn(chart, "none"), chart)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", "", text, flags=re.DOTALL)
    text = text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    text = text.replace(' xmlns="http://www.w3.org/2000/svg"', "")
    for role, colour in LIGHT.items():
        text = text.replace(colour, f"var(--{role})")
    return text


def to_png(chart: Chart, dpi: int = 144) -> bytes:
    """The same drawing in pixels."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out = BytesIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(chart.size[0] / 72, chart.size[1] / 72), layout="constrained")
        FigureCanvasAgg(figure)
        chart.draw(figure.add_subplot())
        figure.savefig(out, format="png", dpi=dpi, facecolor=LIGHT["paper"], metadata={"Software": None})
    return out.getvalue()


def _drawn(chart: Chart, ground: str) -> str:
    """The svg element alone: no prologue, no metadata, no ids that nothing refers to."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    out = StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(chart.size[0] / 72, chart.size[1] / 72), layout="constrained")
        FigureCanvasSVG(figure)
        chart.draw(figure.add_subplot())
        figure.savefig(out, format="svg", facecolor=ground, metadata=_NO_METADATA)
    text = out.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)[\")]", text))
    text = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else "", text)
    text = re.sub(r"\n\s*<!--.*?-->", "", text)
    text = re.sub(r"font-family: [^;\"]+", f"font-family: {_FONTS}", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", rf"font-size: \1px; font-family: {_FONTS}", text)
    return re.sub(r"\n\s*", "\n", text)


def _labelled(text: str, chart: Chart) -> str:
    """Size by the page, and the alternative text for assistive technology."""
    from html import escape

    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    label = escape(" ".join(chart.alt.split()))
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
