"""The charts of a whole model: where duplicates are, and how their share grows as tau falls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxdup.reporting import schema
from onnxdup.reporting.plots import marks
from onnxdup.reporting.plots.charts import reported_curve
from onnxdup.reporting.plots.palette import DASHES, LIGHT, MARKERS, SERIES
from onnxdup.reporting.plots.svg import Chart
from onnxdup.reporting.portrait import Portrait, chosen_layers
from onnxdup.reporting.view import count, layer_name, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 14
LINES = 4
_NAME = 22


def removable(portrait: Portrait) -> Chart | None:
    """Filters of the layers that matter: how many stay, how many `merge` would remove at the page's tau."""
    report, tau = portrait.report, portrait.tau
    chosen = chosen_layers(report.layers, tau, BARS)
    if not chosen or not report.totals.taus:
        return None
    gone, title, says = _removed(portrait, chosen)
    names = short([layer_name(x.node, x.tensor) for x in chosen])

    def draw(axes: Axes) -> None:
        places = [float(k) for k in range(len(chosen))]
        kept = [x.filters - g for x, g in zip(chosen, gone, strict=True)]
        wash, line = LIGHT["wash"], LIGHT["first"]
        axes.barh(places, kept, color=wash, edgecolor=line, linewidth=0.8, height=0.68, label="stay")
        some = [k for k, g in enumerate(gone) if g]
        axes.barh(
            some,
            [gone[k] for k in some],
            left=[kept[k] for k in some],
            color="none",
            edgecolor=LIGHT["second"],
            hatch="/////",
            linewidth=0.8,
            height=0.68,
            label=says if some else None,
        )
        for place, layer, lost in zip(places, chosen, gone, strict=True):
            text = f"{count(layer.filters)} − {count(lost)}" if lost else count(layer.filters)
            text += " (frozen)" if layer.frozen else ""
            marks.beside(axes, text, layer.filters, place)
        axes.set_yticks(places, names)
        axes.set_ylim(len(chosen) - 0.4, -0.6)
        axes.set_xlim(0, 1.42 * max(x.filters for x in chosen))
        axes.set_xlabel("filters")
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=5)
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, 1.0 + 0.9 / (len(chosen) + 1)), ncols=2)

    pairs = zip(names, chosen, gone, strict=True)
    words = "; ".join(f"{n}: {count(g)} of {count(x.filters)}" for n, x, g in pairs)
    rest = len(report.layers) - len(chosen)
    more = f" The other {rest} layers are in the table." if rest else ""
    height = 76 + 23 * len(chosen)
    return Chart(
        "removable",
        title,
        f"{title}. Filters per layer: {words}.",
        f"Filters per layer; the hatched part is what {says}.{more}",
        draw,
        (390, height),
    )


def curves(portrait: Portrait) -> Chart | None:
    """1 − eta against tau of the layers with most duplicates, and of the whole model."""
    total = reported_curve(portrait.report.totals.taus)
    if len(total.taus) < 2:
        return None
    some = [(x, x.weights.curve) for x in portrait.layers if x.weights and x.weights.curve]
    ranked = sorted(range(len(some)), key=lambda k: (-_duplicates(some[k][0].report, portrait.tau), k))
    best = [some[k] for k in sorted(ranked[:LINES])]
    names = short([layer_name(x.report.node, x.report.tensor) for x, _ in best])

    def draw(axes: Axes) -> None:
        for number, (_, curve) in enumerate(best):
            axes.plot(
                curve.taus, 100 * curve.shares, color=LIGHT[SERIES[number]], lw=1.6,
                dashes=DASHES[number] or (None, None), marker=MARKERS[number], ms=4, markevery=(number, 5),
                label=names[number],
            )  # fmt: skip
        axes.plot(
            total.taus, 100 * total.shares, color=LIGHT["ink"], lw=1.2, marker="x", ms=5, label="all layers"
        )
        axes.set_ylim(-3, 103)
        axes.set_xlabel("tau")
        axes.set_ylabel("1 − eta, % of filters")
        axes.grid(axis="y")
        axes.tick_params(length=3)
        axes.legend(loc="best")

    taus = portrait.report.totals.taus
    near = next((t for t in taus if t.tau == portrait.tau), taus[-1])
    words = "; ".join(
        f"tau {t.tau:g}: {percent(t.duplicate_share)}, {count(t.components)} #CC of {count(t.filters)}"
        for t in taus
    )
    return Chart(
        "curves", "Duplicates against tau", f"1 − eta against tau for all layers. {words}.",
        f"At tau {near.tau:g}: {count(near.components)} #CC of {count(near.filters)} filters, 1 − eta "
        f"{percent(near.duplicate_share)} over all layers.", draw, (390, 260),
    )  # fmt: skip


def _removed(portrait: Portrait, chosen: Sequence[schema.LayerReport]) -> tuple[list[int], str, str]:
    """Filters removed of each layer: by the merge that was made, or by one at the page's tau."""
    tau = portrait.tau
    if portrait.merged is None:
        words = f"merge would remove at tau {tau:g}"
        return [removable_at(x, tau) for x in chosen], f"What {words}", words
    gone = {(x.node, x.tensor): x.filters.before - x.filters.after for x in portrait.merged.layers}
    words = f"merge removed at tau {tau:g}" if portrait.searched is None else "shrink removed"
    return [gone.get((x.node, x.tensor), 0) for x in chosen], f"What {words}", words


def removable_at(layer: schema.LayerReport, tau: float) -> int:
    """Filters of a layer that `merge` would remove at one of the report's thresholds."""
    return next((t.removable for t in layer.taus if t.tau == tau), 0)


def short(names: Sequence[str]) -> list[str]:
    """Names short enough for axes: long ones without the beginning and the end that all share."""
    if max(map(len, names), default=0) <= _NAME:
        return list(names)
    parts = [re.split(r"(?<=[./])", name) for name in names]
    least = min(map(len, parts)) - 1
    head = next((k for k in range(least) if len({p[k] for p in parts}) > 1), least)
    tail = next((k for k in range(least - head) if len({p[-1 - k] for p in parts}) > 1), least - head)
    kept = ["".join(p[head : len(p) - tail]).rstrip("./") for p in parts]
    return [_ellipsis(name) for name in kept]


def _ellipsis(name: str) -> str:
    head = _NAME // 3
    return name if len(name) <= _NAME else f"{name[:head]}…{name[head + 1 - _NAME :]}"


def _duplicates(layer: schema.LayerReport, tau: float) -> float:
    return next((t.duplicate_share for t in layer.taus if t.tau == tau), 0.0)
