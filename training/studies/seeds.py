"""The spread of duplicates over initialisations: the paper's 100 seeds."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import numpy as np

from training.study import common, figures, tables
from training.study.base import Results, Study
from training.study.page import Page


def write(page: Page, results: Results) -> None:
    """Mean, standard deviation and range of what matters, and the components of every seed as histogram."""
    axes = list(results.cells[0].axes)
    if axes:
        common.show_runs(page, results, *axes)
    for key, rows in results.groups("taus", *axes, "tau"):
        if key[-1] == 0.9:
            counts = np.array(tables.numbers(rows, "components"))
            name = "components_" + "_".join(str(k).replace(",", "-") for k in key[:-1])
            page.figure(
                name,
                f"Components at tau 0.9 over {len(counts)} seeds",
                lambda figure, counts=counts: figures.histograms(
                    figure, {"seeds": counts}, x="#CC at 0.9", bins=min(20, max(3, len(counts) // 3))
                ),
            )
    measured = [("runs", "test_accuracy"), ("layers", "kurtosis"), ("layers", "trace_complexity")]
    lines = []
    for table, column in measured:
        lines += [
            [*key, column, *_statistics(tables.numbers(rows, column))]
            for key, rows in results.groups(table, *axes)
        ]
    for tau in (0.95, 0.9, 0.8):
        at = results.rows("taus", tau=tau)
        for key in dict.fromkeys(tuple(row[a] for a in axes) for row in at):
            mine = [row for row in at if tuple(row[a] for a in axes) == key]
            lines.append([*key, f"#CC at {tau}", *_statistics(tables.numbers(mine, "components"))])
    page.table([*axes, "", "seeds", "mean", "standard deviation", "smallest", "largest"], lines)


def _statistics(values: list[float]) -> list[float]:
    if not values:
        return [0, math.nan, math.nan, math.nan, math.nan]
    deviation = stdev(values) if len(values) > 1 else math.nan
    return [len(values), fmean(values), deviation, min(values), max(values)]


STUDY = Study("seeds", "Spread over initialisations", common.measure, write, columns=("widths",))
