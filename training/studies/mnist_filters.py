"""Few filters of 3×1 on MNIST: accuracy and duplicates as their number grows."""

from __future__ import annotations

import numpy as np

from training import tool
from training.study import common, figures, tables
from training.study.base import Cell, Results, Study, Tables, Value
from training.study.lab import Lab
from training.study.page import Page


def measure(cell: Cell, lab: Lab) -> Tables:
    """The usual tables, and how many filters the exact pass removes from the whole network."""
    run = lab.train(cell.config)
    return {**common.measure_run(cell, run), "exact": [cell.row(removed=tool.exact(run.model()))]}


def write(page: Page, results: Results) -> None:
    """Accuracy and components at several thresholds by number of filters, and the filters as pictures."""
    taus = (0.99, 0.95, 0.9)
    header = ["filters", "test %", *(f"#CC at {tau}" for tau in taus), "duplicates at 0.9", "removed exactly"]
    page.table(header, [_line(widths, results, taus) for widths in results.values("runs", "widths")])
    curves = common.duplicate_curves(results, "widths")
    page.figure(
        "duplicates",
        "Share of duplicates against tau by number of filters, mean over seeds",
        lambda figure: figures.lines(figure, curves, x="tau", y="1 - eta"),
    )
    shown = {label: rows for label, (_, rows) in common.weights(results).items()}
    if shown:
        _pictures(page, shown)


def _pictures(page: Page, shown: dict[str, np.ndarray]) -> None:
    page.figure(
        "filters",
        "The filters of the first seed, a row per number of them",
        lambda figure: figures.filters(figure, shown, (1, 3, 1), max(map(len, shown.values()))),
        size=(5, 0.6 * len(shown) + 0.3),
    )


def _line(widths: Value, results: Results, taus: tuple[float, ...]) -> list[Value]:
    at = {tau: results.rows("taus", widths=widths, tau=tau) for tau in taus}
    return [
        widths,
        tables.spread(results.rows("runs", widths=widths), "test_accuracy", ".2f", 100),
        *(tables.spread(at[tau], "components", ".1f") for tau in taus),
        f"{tables.mean(at[0.9], 'duplicate_share'):.0%}",
        tables.spread(results.rows("exact", widths=widths), "removed", ".1f"),
    ]


STUDY = Study("mnist-filters", "Filters of 3×1 on MNIST", measure, write, columns=("widths",))
