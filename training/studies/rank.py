"""Singular values, 99 % rank, trace complexity and similarity of subspaces by width (Figure 4)."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from training import tool
from training.study import common, figures
from training.study.base import Results, Study, Value
from training.study.page import Page


def write(page: Page, results: Results) -> None:
    """All numbers, the spectra, the trend of trace complexity, and SV-CCA between all networks."""
    common.show_runs(page, results, *results.cells[0].axes)
    filters = {label: rows for label, (_, rows) in common.weights(results).items()}
    if not filters:
        return
    spectra = {label: np.linalg.svd(rows, compute_uv=False) for label, rows in filters.items()}
    page.figure(
        "spectra",
        "Singular values of the first layer; crosses: 99 % of the energy",
        lambda f: _spectra(f, spectra),
    )
    _trend(page, results)
    _similarity(page, results)


def _similarity(page: Page, results: Results) -> None:
    """SV-CCA between the networks by onnxdup compare, of different seeds where there are several.

    Networks of one seed start with the same first filters, whatever their width.
    """
    models: dict[Value, list[Path]] = {}
    for cell in results.cells:
        models.setdefault(cell.axes["widths"], []).append(results.lab.find(cell.config).model())
    tensor = common.first_layer(results.cells[0])
    several = all(len(paths) > 1 for paths in models.values())
    pairs = combinations_with_replacement(models, 2) if several else combinations(models, 2)
    found = {(a, b): tool.svcca(models[a][0], models[b][-1], tensor) for a, b in pairs}
    shown = {pair: f"{mean:.2f} ({chance:.2f})" for pair, (mean, chance) in found.items()}
    page.heading("SV-CCA between the first layers")
    page.text(
        "Mean correlation between the directions that hold 99 % of the energy of the filters (Raghu et al."
        " 2017, on weights, `onnxdup compare`), and in brackets what unrelated filters of these ranks give. "
        + ("First against last seed." if several else "All of one seed, so with common initial filters.")
    )
    page.table(["", *models], [[a, *(shown.get((a, b), "") for b in models)] for a in models])


def _spectra(figure: Any, spectra: dict[str, np.ndarray]) -> None:
    curves = {label: (range(1, len(values) + 1), values) for label, values in spectra.items()}
    figures.lines(figure, curves, x="number", y="singular value", log="xy", markers=False)
    axes = figure.axes[0]
    for line, values in zip(axes.lines, spectra.values(), strict=True):
        rank = energy_rank(values)
        axes.plot([rank], [values[rank - 1]], "x", color=line.get_color())


def energy_rank(values: np.ndarray, share: float = 0.99) -> int:
    """How many of the largest singular values hold `share` of the sum of squares."""
    energy = np.cumsum(values**2)
    return int(np.searchsorted(energy, share * energy[-1])) + 1


def _trend(page: Page, results: Results) -> None:
    layers = results.rows("layers")
    points = {
        (int(row["filters"]), float(row["trace_complexity"])) for row in layers if row["trace_complexity"]
    }
    if points:
        page.figure(
            "trace",
            "Trace complexity of the first layer against its width, every seed",
            lambda figure: figures.lines(
                figure,
                {"": tuple(zip(*sorted(points), strict=True))},
                x="filters",
                y="trace norm / √(nm)",
                log="x",
            ),
        )


STUDY = Study("rank", "Rank and trace complexity by width", common.measure, write, columns=("widths",))
