"""The pull towards mergeable nets against plain training: accuracy, and filters that the exact pass removes.

Every run ends with a snap: filters of one group around a leader at cosine `snap` become scaled copies. The
exact pass (`onnxdup merge --tau 1`) then removes them without changing the function. Plain training
(`mergeable` 0) is snapped too, at the cosines where the pulled runs start to pull: the fair comparison.
DeCov and OrthoReg are there for contrast.
"""

from __future__ import annotations

from typing import Any

from training.study import common, figures, tables, tool
from training.study.base import Cell, Results, Row, Study, Tables
from training.study.lab import Lab
from training.study.page import Page, paragraphs


def measure(cell: Cell, lab: Lab) -> Tables:
    """The usual tables, and filters and accuracy before and after snap and exact pass."""
    run = lab.train(cell.config)
    done, metrics = tool.merge(run.model(), "--tau", "1", "--data", run.test_data()), run.metrics
    row = cell.row(
        filters=done["filters"]["before"],
        removed=done["filters"]["before"] - done["filters"]["after"],
        parameters=done["parameters"]["before"],
        parameters_after=done["parameters"]["after"],
        trained=metrics["final"]["test_accuracy"],
        snapped=done["accuracy_before"]["top1"],
        merged=done["accuracy_after"]["top1"],
    )
    return {**common.measure_run(cell, run), "exact": [row]}


def write(page: Page, results: Results) -> None:
    """What is removed at what accuracy, as a table and a figure."""
    page.text(*paragraphs(__doc__))
    axes = list(results.cells[0].axes)
    header = [
        *axes,
        "seeds",
        "filters",
        "removed exactly",
        "parameters left",
        "trained %",
        "snapped %",
        "merged %",
    ]
    page.table(header, [[*key, *_line(rows)] for key, rows in results.groups("exact", *axes)])
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for _, rows in results.groups("exact", *axes):
        label = "pull" if rows[0].get("mergeable") else "plain"
        xs, ys = curves.setdefault(label, ([], []))
        xs.append(100 * tables.mean(rows, "removed") / tables.mean(rows, "filters"))
        ys.append(100 * tables.mean(rows, "merged"))
    page.figure(
        "pull",
        "Test accuracy after snap and exact merge against filters removed",
        lambda figure: _points(figure, curves),
    )


def _line(rows: list[Row]) -> list[str]:
    left = tables.mean(rows, "parameters_after") / tables.mean(rows, "parameters")
    percent = [tables.spread(rows, column, ".2f", 100) for column in ("trained", "snapped", "merged")]
    return [
        str(len(rows)),
        tables.spread(rows, "filters"),
        tables.spread(rows, "removed"),
        f"{left:.0%}",
        *percent,
    ]


def _points(figure: Any, curves: dict[str, tuple[list[float], list[float]]]) -> None:
    ordered = {label: tuple(zip(*sorted(zip(*xy, strict=True)), strict=True)) for label, xy in curves.items()}
    figures.lines(figure, ordered, x="filters removed exactly %", y="test accuracy %")


STUDY = Study(
    "mergeable",
    "Training towards mergeable nets",
    measure,
    write,
    columns=("mergeable", "mergeable_tau", "snap"),
)
