"""Human output: rich tables on a terminal, plain characters in a file or with NO_COLOR."""

from __future__ import annotations

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from onnxdup.reporting.view import Column, Line, Table, View

_STYLES = {"plain": "", "title": "bold", "quiet": "dim", "good": "green", "bad": "red"}
_NAME_WIDTH = 16
_GAP = 3


def render(view: View, *, width: int = 100, colour: bool = False) -> str:
    """The view as text of at most `width` columns (tables shed their optional columns, then fold names)."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for index, block in enumerate(view):
        if index and isinstance(block, Line) and block.tone == "title" and not _is_title(view[index - 1]):
            console.print()
        console.print(_table(block, width) if isinstance(block, Table) else _line(block))
        if isinstance(block, Table):
            console.print()
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _is_title(block: object) -> bool:
    return isinstance(block, Line) and block.tone == "title"


def _line(line: Line) -> Text:
    return Text(_printable(line.text), style=_STYLES[line.tone], overflow="fold")


def _table(table: Table, width: int) -> RichTable:
    shown = _shown(table, width)
    rich = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for position, index in enumerate(shown):
        _add_column(rich, table.columns[index], first=position == 0)
    for number, row in enumerate(table.rows):
        last = number == len(table.rows) - 1
        rich.add_row(*(_cell(row[i]) for i in shown), end_section=last and bool(table.totals))
    for row in table.totals:
        rich.add_row(*(_cell(row[i]) for i in shown), style="bold")
    return rich


def _cell(text: str) -> Text:
    return Text(_printable(text))


def _printable(text: str) -> str:
    """Names come from the file: no control character may reach the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _add_column(rich: RichTable, column: Column, *, first: bool) -> None:
    rich.add_column(
        column.title,
        justify="right" if column.right else "left",
        overflow="fold",
        min_width=None if first else len(column.title),
    )


def _shown(table: Table, width: int) -> list[int]:
    """Indices of the columns that fit: optional ones go from the left until the rest leaves room for the
    names.
    """
    shown = list(range(len(table.columns)))
    for index in [i for i, c in enumerate(table.columns) if c.optional]:
        if _natural_width(table, shown) <= width:
            break
        shown.remove(index)
    return shown


def _natural_width(table: Table, shown: list[int]) -> int:
    cells = [tuple(c.title for c in table.columns), *table.rows, *table.totals]
    widths = [max(len(row[i]) for row in cells) for i in shown]
    return min(widths[0], _NAME_WIDTH) + sum(w + _GAP for w in widths[1:])
