"""How duplicates arise in training: similarity matrices and loss at chosen steps (the paper's Figure 5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.loop import step_name
from training.study import common, figures
from training.study.base import Cell, Results, Row, Study, Tables, Value
from training.study.lab import Lab
from training.study.page import Page

_WINDOW = 50


def steps_of(cell: Cell) -> list[int]:
    """The steps at which the network is kept."""
    return [int(step) for step in cell.options["steps"]]


def measure(cell: Cell, lab: Lab) -> Tables:
    """Loss of every step, and the report on the first layer at the chosen ones."""
    run = lab.train(cell.config, steps_of(cell))
    losses = run.metrics["step_losses"]
    smooth = figures.smoothed(losses, _WINDOW)
    tables = common.measure_run(cell, run, step=len(losses))
    for step in steps_of(cell):
        if step <= len(losses):
            loss = float(smooth[max(step - 1, 0)])
            found = common.layer_tables(cell, run.model(step_name(step)), step=step, loss=loss)
            for name, rows in found.items():
                tables[name] = [*tables[name], *rows]
    tables["losses"] = [cell.row(step=k, loss=loss) for k, loss in enumerate(losses, start=1)]
    return tables


def write(page: Page, results: Results) -> None:
    """The loss with the number of components, and the matrices in the order of the last groups."""
    layers = [row for row in results.rows("layers") if "loss" in row]
    header = [
        "step",
        f"loss (mean of {_WINDOW} steps)",
        "#CC at 0.9",
        "kurtosis",
        "99 % rank",
        "trace complexity",
    ]
    page.table(
        header, [_line(row, results) for row in sorted(layers, key=lambda row: (row["seed"], row["step"]))]
    )
    for cell in results.cells:
        _loss(page, results, cell)
        _matrices(page, results, cell)


def _line(row: Row, results: Results) -> list[Value]:
    at = results.rows("taus", tau=0.9, step=row["step"], seed=row["seed"])
    shown = [
        row["step"],
        row["loss"],
        at[0]["components"],
        row["kurtosis"],
        row["rank_99"],
        row["trace_complexity"],
    ]
    return [round(value, 4) if isinstance(value, float) else value for value in shown]


def _loss(page: Page, results: Results, cell: Cell) -> None:
    rows = results.rows("losses", **cell.axes, seed=cell.config.seed)
    smooth = figures.smoothed([float(row["loss"]) for row in rows], _WINDOW)
    taus = [row for row in results.rows("taus", **cell.axes, seed=cell.config.seed) if "loss" in row]
    points = [(row["step"], row["components"]) for row in taus if row["tau"] == 0.9]

    def draw(figure: Any) -> None:
        figures.lines(
            figure, {"loss": (range(1, len(smooth) + 1), smooth)}, x="step", y="loss", markers=False, log="x"
        )
        other = figure.axes[0].twinx()
        other.plot(*zip(*sorted(p for p in points if p[0]), strict=True), "r.--", linewidth=0.8)
        other.set_ylabel("#CC at 0.9", color="r")

    page.figure(f"loss_s{cell.config.seed}", "Training loss and components at tau 0.9 (red)", draw)


def _matrices(page: Page, results: Results, cell: Cell) -> None:
    run = results.lab.find(cell.config, steps_of(cell))
    if not results.lab.finished(run):
        return
    tensor, last = common.first_layer(cell), run.model()
    order = ordered(figures.cosines(figures.weight(last, tensor)))
    shown = {}
    for step in steps_of(cell):
        if (run.folder / step_name(step)).is_file():
            rows = figures.weight(run.model(step_name(step)), tensor)[order]
            shown[f"step {step}"] = figures.cosines(rows)
    page.figure(
        f"matrices_s{cell.config.seed}",
        "Cosines between the first-layer filters, in the order of the groups of the trained network",
        lambda figure: figures.matrices(figure, shown),
        size=(7.5, 1.9 * -(-len(shown) // 4)),
    )


def ordered(similarity: np.ndarray) -> np.ndarray:
    """An order of the filters that puts similar ones together: leaves of average linkage on 1 - cosine."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    return leaves_list(linkage(1 - figures.off_diagonal(similarity), method="average"))


STUDY = Study("evolution", "How duplicates arise in training", measure, write)
