"""Accuracy against filters removed: merging duplicates and pruning by norm (the paper's Figure 8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training import tool
from training.study import common, figures, tables
from training.study.base import Cell, Results, Row, Study, Tables
from training.study.lab import Lab, Run
from training.study.page import Page


def measure(cell: Cell, lab: Lab) -> Tables:
    """The usual tables, and for every tau each method at the number of filters that the components leave."""
    run = lab.train(cell.config)
    return {**common.measure_run(cell, run), "merges": merges(cell, run, common.first_layer(cell))}


def merges(cell: Cell, run: Run, tensor: str) -> list[Row]:
    """Rows of the table merges for one layer: tau, method, filters left and accuracy.

    The other methods keep as many filters as the components that paper merges leave. Where every filter is a
    component of its own there is nothing to merge, which is measured once. The option `samples` takes the
    first so many test images.
    """
    data = run.test_data(int(cell.options.get("samples", 0)))
    taus, others = cell.options["merge_taus"], [m for m in cell.options["methods"] if m != "paper"]
    known = tool.layer(run.model(), tensor, {*taus, *cell.options.get("taus", tool.TAUS)})["taus"]
    alone = {row["tau"] for row in known if row["components"] == row["filters"]}
    rows, nothing = [], None
    for tau in taus:
        found = nothing if tau in alone and nothing else merge(run, tensor, data, "paper", "--tau", tau)
        nothing = found if tau in alone else None
        rows.append(_row(cell, tau, "paper", tensor, found))
        keep = float(rows[-1]["kept"]) / float(rows[-1]["filters"])
        for method in others:
            if not nothing:
                found = merge(run, tensor, data, method, "--tau", min(tau, 0.999), "--keep", keep)
            rows.append(_row(cell, tau, method, tensor, found))
    return rows


def merge(run: Run, tensor: str, data: Path, method: str, *amount: str | float) -> dict[str, Any]:
    """One merge of one layer by onnxdup, with accuracy on `data`."""
    options = ("--method", method, "--include", tensor, "--data", data, *map(str, amount))
    return tool.merge(run.model(), *options)


def _row(cell: Cell, tau: float, method: str, tensor: str, found: dict[str, Any]) -> Row:
    filters = next(row["filters"] for row in found["layers"] if row["tensor"] == tensor)
    accuracy = {
        "accuracy_before": found["accuracy_before"]["top1"],
        "accuracy": found["accuracy_after"]["top1"],
    }
    about = {"layer": tensor, "tau": tau, "method": method}
    return cell.row(**about, filters=filters["before"], kept=filters["after"], **accuracy)


def write(page: Page, results: Results) -> None:
    """Per network: a table and a figure of accuracy by method."""
    common.show_runs(page, results, *results.cells[0].axes)
    axes = list(results.cells[0].axes)
    for key, rows in results.groups("merges", *axes, "layer"):
        label = ", ".join(str(value) for value in key if value is not None)
        page.heading(label)
        show_merges(page, rows, "merges_" + "".join(c if c.isalnum() else "-" for c in label))


def show_merges(page: Page, rows: list[Row], name: str) -> None:
    """Accuracy by tau and method, as table and figure; all methods leave the same number of filters."""
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    taus = list(dict.fromkeys(row["tau"] for row in rows))
    base = tables.spread(rows[:1], "accuracy_before", ".1f", 100)
    page.text(f"{rows[0]['filters']} filters; accuracy unmerged {base} % (first seed).")
    header = ["tau", "filters left", *(f"{method} %" for method in methods)]
    lines, curves = [], {method: ([], []) for method in methods}
    for tau in taus:
        here = [row for row in rows if row["tau"] == tau]
        by = {method: [row for row in here if row["method"] == method] for method in methods}
        lines.append(
            [
                tau,
                tables.spread(by[methods[0]], "kept"),
                *(tables.spread(by[m], "accuracy", ".1f", 100) for m in methods),
            ]
        )
        for method in methods:
            removed = 100 * (1 - tables.mean(by[method], "kept") / float(rows[0]["filters"]))
            curves[method][0].append(removed)
            curves[method][1].append(100 * tables.mean(by[method], "accuracy"))
    page.table(header, lines)
    page.figure(
        name,
        f"Accuracy against filters removed, {rows[0]['layer']}",
        lambda figure: figures.lines(figure, curves, x="filters removed %", y="test accuracy %"),
    )


STUDY = Study(
    "compression", "Merging duplicates and pruning by norm", measure, write, columns=("model", "widths")
)
