"""Duplicates against dropout (the paper's Table 1), by the layers whose units are dropped."""

from __future__ import annotations

from training.study import common, literature, tables
from training.study.base import Results, Row, Study, Value
from training.study.page import Page, paragraphs


def write(page: Page, results: Results) -> None:
    """Table 1 with a row for every place of dropout and course of training, then all numbers."""
    page.text(*paragraphs(__doc__))
    page.heading("Table 1: components of fc1 at tau 0.9")
    rates = sorted({float(str(rate)) for rate in results.values("taus", "dropout")})
    rows: list[list[Value]] = []
    for width in results.values("taus", "filters"):
        rows.append([width, "paper", *(literature.COMPONENTS.get((width, rate), "–") for rate in rates)])
        rows.extend([width, label, *cells] for label, cells in _ours(results, width, rates))
    page.table(["fc1", "dropped", *(f"dropout {rate:g}" for rate in rates)], rows)
    page.heading("All numbers")
    common.show_runs(page, results, *STUDY.columns)


def _ours(results: Results, width: Value, rates: list[float]) -> list[tuple[str, list[str]]]:
    """Label and components by rate, for every place and course; without dropout all places are one."""
    taus = results.rows("taus", filters=width, tau=0.9)
    kinds = dict.fromkeys((row["dropout_at"], _course(row)) for row in taus if row["dropout"])
    lines = []
    for place, course in kinds:
        alike = [row for row in taus if _course(row) == course]
        here = [row for row in alike if row["dropout_at"] == place or not row["dropout"]]
        cells = [
            tables.spread((row for row in here if row["dropout"] == rate), "components") for rate in rates
        ]
        lines.append((f"{place}, {course}", cells))
    return lines


def _course(row: Row) -> str:
    """What else of a run varies, in words."""
    return (
        f"{row['epochs']} epochs, learning rate × {row['lr_decay']:g}, weight decay {row['weight_decay']:g}"
    )


STUDY = Study(
    "dropout",
    "Duplicate filters against dropout",
    common.measure,
    write,
    columns=("widths", "dropout", "dropout_at", "lr_decay", "epochs", "weight_decay"),
)
