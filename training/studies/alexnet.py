"""Per-layer merging and norm pruning of the AlexNet variant (the paper's Figure 9)."""

from __future__ import annotations

from training import tool
from training.studies import compression
from training.study import common
from training.study.base import Cell, Study, Tables
from training.study.lab import Lab


def measure(cell: Cell, lab: Lab) -> Tables:
    """The usual tables, and the merges of every convolution (or the option `layers`) by itself."""
    run = lab.train(cell.config)
    layers = cell.options.get("layers") or [
        found["tensor"] for found in tool.report(run.model()) if found["op"] == "Conv"
    ]
    merges = [row for tensor in layers for row in compression.merges(cell, run, tensor)]
    return {**common.measure_run(cell, run), "merges": merges}


STUDY = Study(
    "alexnet",
    "AlexNet: merging and norm pruning layer by layer",
    measure,
    compression.write,
    columns=("weight_decay", "lr", "epochs"),
)
