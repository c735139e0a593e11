"""What a study is: cells, what each measures, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training.config import TrainConfig

if TYPE_CHECKING:
    from training.study.lab import Lab
    from training.study.page import Page

Value = str | int | float | bool | None
Row = dict[str, Value]
Tables = dict[str, list[Row]]
"""Tidy tables by name: every row one observation, every column one variable."""


@dataclass(frozen=True)
class Cell:
    """One unit of work: a configuration, its values on the axes of the grid, and the study's options."""

    key: str
    config: TrainConfig
    axes: dict[str, Value]
    options: dict[str, Any] = field(default_factory=dict)

    def row(self, **values: Value) -> Row:
        """A row of a table: the axes and the seed of the cell, then `values`."""
        return {**self.axes, "seed": self.config.seed, **values}


Measure = Callable[[Cell, "Lab"], Tables]
Write = Callable[["Page", "Results"], None]


@dataclass(frozen=True)
class Study:
    """An experiment: `measure` does one cell, `write` puts tables and figures on the page.

    `columns` are the values of the configuration that the page needs in its tables, on the grid or not.
    """

    name: str
    title: str
    measure: Measure
    write: Write
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """What the finished cells of a study say, in the order of the grid."""

    cells: Sequence[Cell]
    tables: Tables
    lab: Lab
    options: dict[str, Any]

    def rows(self, table: str, **where: Value) -> list[Row]:
        """The rows of `table` that have these values."""
        found = self.tables.get(table, [])
        return [row for row in found if all(row.get(key) == value for key, value in where.items())]

    def values(self, table: str, column: str) -> list[Value]:
        """The different values of a column, in order of appearance."""
        return list(dict.fromkeys(row.get(column) for row in self.tables.get(table, [])))

    def groups(self, table: str, *columns: str) -> Iterator[tuple[tuple[Value, ...], list[Row]]]:
        """The rows of `table` for every combination of values of `columns`, in order of appearance."""
        grouped: dict[tuple[Value, ...], list[Row]] = {}
        for row in self.tables.get(table, []):
            grouped.setdefault(tuple(row.get(column) for column in columns), []).append(row)
        yield from grouped.items()
