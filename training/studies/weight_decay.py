"""Weight decay: accuracy, duplicates and how smooth the filters are (the paper's Table 2 and Figure 6)."""

from __future__ import annotations

import numpy as np

from training.study import common, figures, literature, tables
from training.study.base import Cell, Results, Study, Tables
from training.study.lab import Lab
from training.study.page import Page

_CHANNELS = {"cifar10": 3}


def measure(cell: Cell, lab: Lab) -> Tables:
    """The usual tables, and the roughness of the filters."""
    run = lab.train(cell.config)
    rows = figures.weight(run.model(), common.first_layer(cell))
    rough = cell.row(roughness=roughness(rows, _CHANNELS.get(cell.config.data, 1)))
    return {**common.measure_run(cell, run), "smoothness": [rough]}


def roughness(rows: np.ndarray, channels: int) -> float:
    """Median over filters of the squared differences between neighbouring pixels, relative to the energy.

    0 for a constant picture; about 4 for white noise, whose differences have twice its variance in each of
    two directions.
    """
    side = round((rows.shape[1] / channels) ** 0.5)
    pictures = rows.reshape(len(rows), channels, side, side)
    across, down = np.diff(pictures, axis=3), np.diff(pictures, axis=2)
    steps = (across**2).sum(axis=(1, 2, 3)) + (down**2).sum(axis=(1, 2, 3))
    energy = (rows**2).sum(axis=1)
    return float(np.median(steps[energy > 0] / energy[energy > 0]))


def write(page: Page, results: Results) -> None:
    """Table 2 side by side, all numbers, and the filters of every strength."""
    page.heading("Table 2: accuracy in per cent, training / test")
    rows = []
    for (decay, epochs), runs in results.groups("runs", "weight_decay", "epochs"):
        paper = literature.ACCURACY.get(float(str(decay)))
        ours = " / ".join(tables.spread(runs, f"{s}_accuracy", ".1f", 100) for s in ("train", "test"))
        smooth = tables.spread(common.of_runs(results.rows("smoothness"), runs), "roughness", ".3f")
        rows.append([decay, epochs, "{} / {}".format(*paper) if paper else "–", ours, smooth])
    page.table(["weight decay", "epochs", "paper", "ours", "roughness (0 smooth, 4 noise)"], rows)
    page.heading("All numbers")
    common.show_runs(page, results, "weight_decay", "epochs")
    _pictures(page, results)


def _pictures(page: Page, results: Results) -> None:
    """The filters of largest norm at each strength."""
    found = common.weights(results)
    cell = next((cell for cell, _ in found.values()), None)
    if cell is None:
        return
    strongest = {label: rows[np.argsort(-np.linalg.norm(rows, axis=1))] for label, (_, rows) in found.items()}
    channels = _CHANNELS.get(cell.config.data, 1)
    side = round((next(iter(strongest.values())).shape[1] / channels) ** 0.5)
    page.figure(
        "filters",
        "The 12 filters of largest norm by weight decay",
        lambda figure: figures.filters(figure, strongest, (channels, side, side), 12),
        size=(6, 0.45 * len(strongest) + 0.3),
    )


STUDY = Study(
    "weight-decay",
    "Weight decay: accuracy, duplicates, smoothness",
    measure,
    write,
    columns=("weight_decay", "epochs"),
)
