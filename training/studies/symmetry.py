"""Filters that start out equal: they stay equal, and a trained net of k different ones merges to k filters.

Gradient descent moves filters alike whose incoming weights, bias and outgoing weights are equal, so only
rounding and dropout can part them. With noise on the incoming weights they may drift apart or together.
"""

from __future__ import annotations

import numpy as np

from training import tool
from training.study import common, figures, tables
from training.study.base import Cell, Results, Row, Study, Tables, Value
from training.study.lab import Lab
from training.study.page import Page, paragraphs


def measure(cell: Cell, lab: Lab) -> Tables:
    """The usual tables, and how far twins are from each other before and after training."""
    run = lab.train(cell.config, [0])
    tensor = common.first_layer(cell)
    first, last = figures.weight(run.model("step_000000.pt"), tensor), figures.weight(run.model(), tensor)
    merged = tool.merge(run.model(), "--tau", "1", "--include", tensor)
    left = next(row["filters"]["after"] for row in merged["layers"] if row["tensor"] == tensor)
    twins = cell.config.twins or len(first)
    row = cell.row(
        filters=len(first),
        angle_before=twin_angle(first, twins),
        angle_after=twin_angle(last, twins),
        exact_left=left,
    )
    return {**common.measure_run(cell, run), "twins": [row]}


def twin_angle(rows: np.ndarray, twins: int) -> float | None:
    """Median angle in degrees between a filter and the one that it was copied from; None without copies."""
    if twins >= len(rows):
        return None
    source = np.arange(twins, len(rows)) % twins
    a, b = figures.directions(rows[twins:]), figures.directions(rows[source])
    chord = np.linalg.norm(a - b, axis=1)
    return float(np.degrees(np.median(2 * np.arcsin(np.clip(chord / 2, 0, 1)))))


def write(page: Page, results: Results) -> None:
    """Angles before and after training, and what the exact pass leaves, by number of twins and noise."""
    page.text(*paragraphs(__doc__))
    axes = list(results.cells[0].axes)
    header = [
        *axes,
        "filters",
        "angle before °",
        "angle after °",
        "left by the exact pass",
        "#CC at 0.9",
        "test %",
    ]
    page.table(header, [_line(key, rows, results, axes) for key, rows in results.groups("twins", *axes)])


def _line(key: tuple[Value, ...], rows: list[Row], results: Results, axes: list[str]) -> list[Value]:
    where = dict(zip(axes, key, strict=True))
    return [
        *key,
        tables.spread(rows, "filters"),
        tables.spread(rows, "angle_before", ".3g"),
        tables.spread(rows, "angle_after", ".3g"),
        tables.spread(rows, "exact_left"),
        tables.spread(results.rows("taus", tau=0.9, **where), "components"),
        tables.spread(results.rows("runs", **where), "test_accuracy", ".1f", 100),
    ]


STUDY = Study("symmetry", "Filters that start out equal", measure, write, columns=("twins", "twin_noise"))
