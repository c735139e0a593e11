"""The spread of duplicates over initialisations: the paper's 100 seeds."""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np

from training.study import common, figures, tables
from training.study.base import Results, Study, Value
from training.study.page import Page

_MEASURED = (("runs", "test_accuracy"), ("layers", "kurtosis"), ("layers", "trace_complexity"))
_TAUS = (0.95, 0.9, 0.8)


def write(page: Page, results: Results) -> None:
    """Mean, standard deviation and range of what matters, and the components of every seed as histogram."""
    axes = list(results.cells[0].axes)
    lines: list[list[Value]] = []
    for table, column in _MEASURED:
        for key, rows in results.groups(table, *axes):
            lines.append([*key, column, *_statistics(tables.numbers(rows, column))])
    for key, rows in results.groups("taus", *axes, "tau"):
        counts = tables.numbers(rows, "components")
        if key[-1] in _TAUS:
            lines.append([*key[:-1], f"#CC at {key[-1]}", *_statistics(counts)])
        if key[-1] == 0.9:
            _histogram(page, "_".join(str(part).replace(",", "-") for part in key[:-1]), counts)
    page.table([*axes, "", "seeds", "mean", "standard deviation", "smallest", "largest"], lines)


def _histogram(page: Page, name: str, counts: list[float]) -> None:
    bins = min(20, max(3, len(counts) // 3))
    page.figure(
        f"components_{name}",
        f"Components at tau 0.9 over {len(counts)} seeds ({name})",
        lambda figure: figures.histograms(figure, {"seeds": np.array(counts)}, x="#CC at 0.9", bins=bins),
    )


def _statistics(values: list[float]) -> list[Value]:
    """Number, mean, standard deviation (a dash for one), smallest and largest."""
    deviation = stdev(values) if len(values) > 1 else "–"
    return [len(values), fmean(values), deviation, min(values), max(values)]


STUDY = Study("seeds", "Spread over initialisations", common.measure, write, columns=("widths",))
