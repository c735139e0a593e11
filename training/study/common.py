"""What most studies measure of a run, and how they show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training import tool
from training.study import figures, tables
from training.study.base import Cell, Results, Row, Tables, Value
from training.study.lab import Lab, Run
from training.study.page import Page

FIRST_LAYER = {"mlp": "fc1.weight", "cnn": "conv1.weight", "alexnet": "conv1.weight", "vgg": "conv1.weight"}


def first_layer(cell: Cell) -> str:
    """The tensor whose filters are measured: the option `layer`, or the first layer of the model."""
    return str(cell.options.get("layer", FIRST_LAYER.get(cell.config.model, "conv1.weight")))


def measure(cell: Cell, lab: Lab) -> Tables:
    """Train the cell's run and measure its first layer: tables runs, layers and taus."""
    return measure_run(cell, lab.train(cell.config))


def measure_run(cell: Cell, run: Run, **values: Value) -> Tables:
    """Accuracy, and the report on the first layer, of a finished run; `values` are columns of all tables."""
    metrics = run.metrics
    final = metrics.get("snapped", metrics["final"])
    accuracy = {key: final[key] for key in ("train_accuracy", "test_accuracy", "train_loss", "test_loss")}
    found = layer_tables(cell, run.model(), **values)
    filters = found["layers"][0]["filters"]
    about = {"filters": filters, "run": run.folder.name, "epochs": cell.config.epochs}
    return {"runs": [cell.row(**values, **about, **accuracy)], **found}


def layer_tables(cell: Cell, model: Path, **values: Value) -> Tables:
    """The report on the first layer of an ONNX file as tables layers and taus."""
    found = tool.layer(model, first_layer(cell), cell.options.get("taus", tool.TAUS))
    norms, cosines, spectrum = found["norms"], found["cosines"], found["spectrum"]
    layer = cell.row(
        **values,
        filters=found["filters"],
        norm_smallest=norms["smallest"],
        norm_median=norms["median"],
        norm_largest=norms["largest"],
        kurtosis=cosines["kurtosis"] if cosines else None,
        rank_99=spectrum["rank_99"] if spectrum else None,
        trace_complexity=spectrum["trace_complexity"] if spectrum else None,
    )
    names = ("tau", "filters", "components", "clusters", "duplicate_share")
    taus = [cell.row(**values, **{name: row[name] for name in names}) for row in found["taus"]]
    return {"layers": [layer], "taus": taus}


def show_runs(page: Page, results: Results, *columns: str) -> None:
    """Accuracy, components at 0.9 and kurtosis for every combination of `columns`."""
    header = [*columns, "seeds", "train %", "test %", "filters", "#CC at 0.9", "kurtosis", "99 % rank"]
    page.table(
        [*header, "trace complexity"],
        [_summary(key, rows, results) for key, rows in results.groups("runs", *columns)],
    )


def _summary(key: Sequence[Value], runs: list[Row], results: Results) -> list[Value]:
    layers, taus = of_runs(results.rows("layers"), runs), of_runs(results.rows("taus", tau=0.9), runs)
    return [
        *key,
        len(runs),
        tables.spread(runs, "train_accuracy", ".1f", 100),
        tables.spread(runs, "test_accuracy", ".1f", 100),
        tables.spread(layers, "filters"),
        tables.spread(taus, "components"),
        tables.spread(layers, "kurtosis", ".2f"),
        tables.spread(layers, "rank_99"),
        tables.spread(layers, "trace_complexity", ".4f"),
    ]


def of_runs(rows: list[Row], runs: list[Row]) -> list[Row]:
    """The rows that belong to one of `runs`: same values in all columns that both have."""
    return [row for row in rows if any(_same(row, run) for run in runs)]


def _same(row: Row, run: Row) -> bool:
    return all(row[key] == run[key] for key in row.keys() & run.keys())


def duplicate_curves(results: Results, *columns: str) -> dict[str, tuple[list[float], list[float]]]:
    """Mean share of duplicates 1 - eta against tau, a curve for each combination of values of `columns`."""
    curves = {}
    for key, rows in results.groups("taus", *columns):
        points = sorted({float(row["tau"]) for row in rows})
        shares = [tables.mean([r for r in rows if r["tau"] == tau], "duplicate_share") for tau in points]
        curves[" ".join(map(str, key))] = (points, shares)
    return curves


def weights(results: Results) -> dict[str, tuple[Cell, np.ndarray]]:
    """The first layer's filters of the first seed at each point of the grid, by a label of the axes.

    Cells whose model is not in this folder (it stayed with a Dask worker) are left out.
    """
    found: dict[str, tuple[Cell, np.ndarray]] = {}
    for cell in results.cells:
        label = ", ".join(str(value) for value in cell.axes.values())
        run = results.lab.find(cell.config)
        if label not in found and results.lab.finished(run):
            found[label] = cell, figures.weight(run.model(), first_layer(cell))
    return found


def similarity_histogram(page: Page, filters: Mapping[str, np.ndarray]) -> None:
    """The cosines of all pairs of filters as densities."""
    samples = {label: figures.off_diagonal(figures.cosines(rows)) for label, rows in filters.items()}
    page.figure(
        "cosines",
        "Cosines of all pairs of first-layer filters",
        lambda figure: figures.histograms(figure, samples, x="cosine"),
    )


def group_pictures(page: Page, name: str, rows: np.ndarray, shape: Any, tau: float = 0.9) -> None:
    """The first filters of the largest groups at `tau` as pictures, a row per group."""
    labels = figures.components(figures.cosines(rows), tau)
    sizes = np.bincount(labels)
    shown = {f"{k + 1}: {size} filters": rows[labels == k] for k, size in enumerate(sizes[:6]) if size > 1}
    if not shown:
        page.text(f"No two filters have a cosine of {tau} or more, so there are no groups to draw.")
        return
    columns = min(16, max(len(part) for part in shown.values()))
    page.figure(
        name,
        f"The largest groups at tau {tau}, up to {columns} filters of each",
        lambda figure: figures.filters(figure, shown, shape, columns),
        size=(0.4 * columns + 1.2, 0.45 * len(shown) + 0.2),
    )
