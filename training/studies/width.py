"""Duplicates against width (the paper's Figures 1, 2, 3, 7, 10, 11 and Table 1 without dropout)."""

from __future__ import annotations

import numpy as np

from training.study import common, figures, literature, tables
from training.study.base import Results, Row, Study, Value
from training.study.page import Page


def write(page: Page, results: Results) -> None:
    """Table, accuracy, curves of duplicates, histograms and pictures of groups."""
    common.show_runs(page, results, *results.cells[0].axes)
    page.heading("Table 1 without dropout: components at tau 0.9")
    page.table(["fc1", "paper", "ours"], _table1(results))
    page.heading("Figures")
    _curves(page, results)
    filters = common.weights(results)
    if filters:
        common.similarity_histogram(page, {label: rows for label, (_, rows) in filters.items()})
        _norms(page, {label: rows for label, (_, rows) in filters.items()})
    for k, (label, (cell, rows)) in enumerate(filters.items()):
        page.text(f"**{label}**")
        common.group_pictures(page, f"groups_{k}", rows, _shape(cell.config.data, rows.shape[1]))


def _table1(results: Results) -> list[list[Value]]:
    """Filters of the first layer of every MLP of the grid, the paper's components and ours."""
    rows: list[list[Value]] = []
    for (filters, model), taus in results.groups("taus", "filters", "model"):
        at = [row for row in taus if row["tau"] == 0.9]
        if model == "mlp":
            paper = literature.COMPONENTS.get((filters, 0.0), "–")
            rows.append([filters, paper, tables.spread(at, "components")])
    return rows


def _curves(page: Page, results: Results) -> None:
    curves = common.duplicate_curves(results, "model", "widths")
    page.figure(
        "duplicates",
        "Share of duplicates 1 - eta of the first layer against tau, mean over seeds",
        lambda figure: figures.lines(figure, curves, x="tau", y="1 - eta"),
    )
    for (model,), runs in results.groups("runs", "model"):
        widths = sorted({int(row["filters"]) for row in runs})
        accuracy = {
            split: (widths, [_accuracy(runs, width, split) for width in widths])
            for split in ("train", "test")
        }
        if len(widths) > 1:
            page.figure(
                f"accuracy_{model}",
                f"Accuracy in per cent against the width of the first layer ({model})",
                lambda figure, curves=accuracy: figures.lines(
                    figure, curves, x="width", y="accuracy %", log="x"
                ),
            )


def _accuracy(runs: list[Row], width: int, split: str) -> float:
    return 100 * tables.mean([row for row in runs if row["filters"] == width], f"{split}_accuracy")


def _norms(page: Page, filters: dict[str, np.ndarray]) -> None:
    samples = {label: np.linalg.norm(rows, axis=1) for label, rows in filters.items()}
    page.figure(
        "norms",
        "L2 norms of the first-layer filters",
        lambda figure: figures.histograms(figure, samples, x="norm", bins=40),
    )


def _shape(data: str, fan_in: int) -> tuple[int, int, int]:
    """The picture of a filter: as many channels as the images have, square."""
    channels = 3 if data == "cifar10" else 1
    side = round((fan_in / channels) ** 0.5)
    return channels, side, side


STUDY = Study("width", "Duplicate filters against width", common.measure, write, columns=("model", "widths"))
