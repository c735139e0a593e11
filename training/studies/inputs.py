"""What decides how many duplicates arise: scaling of inputs, weight decay, learning rate, initial weights.

A controlled experiment for Table 1: one factor changes at a time.
"""

from __future__ import annotations

from training.study import common, literature, tables
from training.study.base import Results, Row, Study, Value
from training.study.page import Page, paragraphs


def write(page: Page, results: Results) -> None:
    """Components by scaling and weight decay as a square, then every run."""
    page.text(*paragraphs(__doc__))
    paper = literature.COMPONENTS[500, 0.0]
    page.heading("Components of fc1 at tau 0.9, by weight decay and scaling")
    page.text(f"The paper's MLP of 500 has {paper}.")
    scalings = results.values("taus", "scaling")
    rows = []
    for decay in sorted({float(str(value)) for value in results.values("taus", "weight_decay")}):
        at = {s: _plain(results, scaling=s, weight_decay=decay) for s in scalings}
        rows.append([decay, *(tables.spread(at[s], "components") for s in scalings)])
    page.table(["weight decay", *map(str, scalings)], rows)
    page.heading("All runs")
    common.show_runs(page, results, *results.cells[0].axes)


def _plain(results: Results, **where: Value) -> list[Row]:
    """The rows at tau 0.9 that differ from the first cell in scaling and weight decay alone."""
    first = results.cells[0].axes
    fixed = {name: value for name, value in first.items() if name not in ("scaling", "weight_decay")}
    return results.rows("taus", tau=0.9, **fixed, **where)


STUDY = Study(
    "inputs",
    "What decides how many duplicates arise",
    common.measure,
    write,
    columns=("scaling", "weight_decay"),
)
