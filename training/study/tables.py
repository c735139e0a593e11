"""Tidy tables: CSV, Parquet where pyarrow is installed, and the summaries that pages show."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from training.study.base import Row, Tables, Value


def write(folder: Path, tables: Tables) -> None:
    """Write every table as NAME.csv, and as NAME.parquet where pyarrow is installed."""
    for name, rows in tables.items():
        if rows:
            write_csv(folder / f"{name}.csv", rows)
            _write_parquet(folder / f"{name}.parquet", rows)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; columns in order of first appearance, an absent value is empty."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, _columns(rows), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _columns(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        return
    columns = {key: [row.get(key) for row in rows] for key in _columns(rows)}
    parquet.write_table(pyarrow.table(columns), path)


def concatenate(parts: Iterable[Tables]) -> Tables:
    """The tables of many cells as one, in order."""
    whole: Tables = {}
    for tables in parts:
        for name, rows in tables.items():
            whole.setdefault(name, []).extend(rows)
    return whole


def numbers(rows: Iterable[Row], column: str) -> list[float]:
    """The numbers in a column; rows without one are left out."""
    values = (row.get(column) for row in rows)
    return [float(v) for v in values if isinstance(v, int | float) and not math.isnan(v)]


def mean(rows: Iterable[Row], column: str) -> float:
    """The mean of a column, nan when it has no numbers."""
    values = numbers(rows, column)
    return fmean(values) if values else math.nan


def spread(rows: Iterable[Row], column: str, form: str = ".0f", factor: float = 1.0) -> str:
    """Mean and range of a column as text: `300 (296–305)`, or `298` where all are equal."""
    values = [factor * value for value in numbers(rows, column)]
    if not values:
        return "–"
    centre = format(fmean(values), form)
    low, high = format(min(values), form), format(max(values), form)
    return centre if low == high else f"{centre} ({low}–{high})"


def markdown(header: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
