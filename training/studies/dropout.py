"""Duplicates against dropout (the paper's Table 1)."""

from __future__ import annotations

from training.study import common, literature, tables
from training.study.base import Results, Study
from training.study.page import Page


def write(page: Page, results: Results) -> None:
    """Table 1 side by side, then all numbers."""
    rates = [float(rate) for rate in results.values("taus", "dropout")]
    page.heading("Table 1: components of fc1 at tau 0.9, paper → ours")
    rows = []
    for first in results.values("taus", "filters"):
        cells = [
            f"{literature.COMPONENTS.get((first, rate), '–')} → "
            + tables.spread(results.rows("taus", filters=first, dropout=rate, tau=0.9), "components")
            for rate in rates
        ]
        rows.append([first, *cells])
    page.table(["fc1", *(f"dropout {rate:g}" for rate in rates)], rows)
    page.heading("All numbers")
    common.show_runs(page, results, "widths", "dropout")


STUDY = Study(
    "dropout", "Duplicate filters against dropout", common.measure, write, columns=("widths", "dropout")
)
