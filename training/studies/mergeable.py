"""The pull towards mergeable nets against plain training: accuracy, and filters that the exact pass removes.

Every run ends with a snap: filters of one group around a leader at cosine `snap` become scaled copies. The
exact pass (`onnxdup merge --tau 1`) then removes them without changing the function. Plain training
(`mergeable` 0) is snapped too, at the cosines where the pulled runs start to pull: the fair comparison.
DeCov and OrthoReg are there for contrast.
"""

from __future__ import annotations

from training import tool
from training.study import common, figures, tables
from training.study.base import Cell, Results, Row, Study, Tables, Value
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
    for data in results.values("exact", "data"):
        curves = _curves(results, axes, data)
        page.figure(
            f"pull_{data}",
            f"Test accuracy after snap and exact merge against filters removed ({data})",
            lambda figure, curves=curves: figures.lines(
                figure, curves, x="filters removed exactly %", y="test accuracy %"
            ),
        )


def _curves(results: Results, axes: list[str], data: Value) -> figures.Curves:
    """Removed filters and accuracy in per cent, plain and pulled, by falling number of filters."""
    points: dict[str, list[tuple[float, float]]] = {}
    for _, rows in results.groups("exact", *axes):
        if rows[0]["data"] == data:
            removed = 100 * tables.mean(rows, "removed") / tables.mean(rows, "filters")
            label = "pulled" if rows[0]["mergeable"] else "plain"
            points.setdefault(label, []).append((removed, 100 * tables.mean(rows, "merged")))
    return {label: tuple(zip(*sorted(found), strict=True)) for label, found in points.items()}


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


STUDY = Study(
    "mergeable",
    "Training towards mergeable nets",
    measure,
    write,
    columns=("data", "mergeable", "mergeable_tau", "snap"),
)
