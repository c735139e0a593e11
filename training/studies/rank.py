"""Singular values, 99 % rank, trace complexity and similarity of subspaces by width (Figure 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.study import common, figures
from training.study.base import Results, Study
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
    page.heading("SV-CCA between the first layers")
    page.text(
        "Mean canonical correlation between the subspaces of the inputs that hold 99 % of the energy of the"
        " filters (Raghu et al. 2017, on weights): 1 where the smaller subspace lies in the larger."
    )
    names = list(filters)
    page.table(["", *names], [[a, *(f"{svcca(filters[a], filters[b]):.2f}" for b in names)] for a in names])


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


def svcca(a: np.ndarray, b: np.ndarray) -> float:
    """Mean canonical correlation of the row spaces of two weights (filters, fan-in), cut at 99 % energy."""
    cosines = np.linalg.svd(subspace(a) @ subspace(b).T, compute_uv=False)
    return float(cosines.mean())


def subspace(rows: np.ndarray) -> np.ndarray:
    """Orthonormal rows that span 99 % of the energy of `rows`."""
    _, values, right = np.linalg.svd(rows, full_matrices=False)
    return right[: energy_rank(values)]


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
