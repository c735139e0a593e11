"""GitHub-flavoured Markdown: for job summaries and pull-request comments."""

from __future__ import annotations

from collections.abc import Iterable

from onnxdup.reporting.view import Line, Table, View

_MARKS = {"good": "✅ ", "bad": "❌ "}


def render(view: View) -> str:
    """The view as Markdown: titles become headings, tables pipe tables, totals bold rows."""
    return "\n\n".join(_table(b) if isinstance(b, Table) else _line(b) for b in view) + "\n"


def _line(line: Line) -> str:
    if line.tone == "title":
        return f"### {escape(line.text)}"
    return f"{_MARKS.get(line.tone, '')}{escape(line.text)}"


def _table(table: Table) -> str:
    head = [_row(c.title for c in table.columns), _row("---:" if c.right else "---" for c in table.columns)]
    body = [_row(map(escape, row)) for row in table.rows]
    foot = [_row(f"**{escape(cell)}**" if cell else "" for cell in row) for row in table.totals]
    return "\n".join([*head, *body, *foot])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Names of nodes and tensors are arbitrary: keep them from being read as Markdown or HTML."""
    for character in "\\`*_<>|[]#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
