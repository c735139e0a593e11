"""One Markdown page: headings, paragraphs, tables and figures, written with its figures into one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from training.study import tables
from training.study.base import Value

Draw = Callable[[Any], None]
"""Draws on a matplotlib Figure."""


def paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a module's docstring, a line each."""
    return [" ".join(part.split()) for part in (docstring or "").strip().split("\n\n")]


class Page:
    """A page under construction in `folder`."""

    def __init__(self, folder: Path, title: str) -> None:
        self._folder, self._parts = folder, [f"# {title}"]

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        self._parts.extend(paragraphs)

    def heading(self, title: str) -> None:
        """Begin a section."""
        self._parts.append(f"## {title}")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
        """Add a table."""
        self._parts.append(tables.markdown(header, rows))

    def figure(self, name: str, caption: str, draw: Draw, size: tuple[float, float] = (6.4, 3.6)) -> None:
        """Add a figure, `size` in inches: `draw` fills a matplotlib Figure, which becomes NAME.png."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=100, layout="constrained")
        draw(figure)
        figure.savefig(self._folder / f"{name}.png", metadata={"Software": None})
        self._parts.append(f"![{caption}]({name}.png)\n\n*{caption}*")

    def write(self) -> Path:
        """Write README.md and return its path."""
        path = self._folder / "README.md"
        path.write_text("\n\n".join(self._parts) + "\n", encoding="utf-8")
        return path
