"""stdout for the artefact, stderr for talk: the only writer of both."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from onnxdup.reporting.schema import Artefact
    from onnxdup.reporting.view import View

T = TypeVar("T")


class Advance(Protocol):
    """Progress callback: `done` of `total` steps, the present one called `what`."""

    def __call__(self, done: int, total: int, what: str) -> None: ...


@dataclass
class Console:
    """Where one invocation writes, and how much."""

    format: str = "text"
    json: bool = False
    reports: tuple[Path, ...] = ()
    progress: str = "auto"
    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    arguments: tuple[str, ...] = ()
    time_limit: float | None = None
    memory_limit: int | None = None

    def artefact(self, document: Artefact) -> None:
        """Writes a document of `onnxdup.reporting`, see `emit`."""
        from onnxdup.reporting.formats import FORMATS, of_suffix, view

        self.emit(document, FORMATS, view, of_suffix)

    def emit(
        self,
        document: T,
        formats: Mapping[str, Callable[[T], str]],
        view: Callable[[T], View],
        of_suffix: Callable[[Path], str],
    ) -> None:
        """Writes the document to stdout in the chosen format, and to the `--report` files in the formats of
        their names.
        """
        from onnxdup.reporting.files import write_text

        for path in self.reports:
            write_text(path, formats[of_suffix(path)](document), "the report")
        name = "json" if self.json else self.format
        sys.stdout.write(self._text(view(document)) if name == "text" else formats[name](document))
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Talk, unless `-q`."""
        if not self.quiet:
            self._stderr(text)

    def detail(self, text: str) -> None:
        """Talk that only `-v` shows."""
        if self.verbose and not self.quiet:
            self._stderr(text)

    def took(self, note: str) -> None:
        """Says which provider `auto` took and why."""
        if note:
            self.say(note)

    def warn(self, text: str) -> None:
        """One line on stderr, also with `-q`."""
        self._stderr(f"onnxdup: warning: {text}")

    def error(self, text: str) -> None:
        """The one line of an error."""
        self._stderr(f"onnxdup: error: {text}")

    @contextmanager
    def advance(self, title: str) -> Iterator[Advance]:
        """A progress bar on stderr, on terminals only (`--progress auto`), `on` or `off`."""
        shown = self.progress == "on" or (self.progress == "auto" and sys.stderr.isatty())
        if not shown or self.quiet:
            yield _silent
            return
        with _bar(title) as advance:
            yield advance

    @contextmanager
    def working(self, title: str) -> Iterator[Callable[[str], None]]:
        """A line on stderr that shows the present step; with `-v` every step is a line of its own."""
        shown = self.progress == "on" or (self.progress == "auto" and sys.stderr.isatty())
        if not shown or self.quiet or self.verbose:
            yield self.detail
            return
        from rich.console import Console as RichConsole

        with RichConsole(stderr=True, highlight=False, markup=False).status(title) as status:
            yield lambda step: status.update(f"{title}: {step}")

    @staticmethod
    def _text(shown: View) -> str:
        from onnxdup.reporting import text

        width = shutil.get_terminal_size(fallback=(100, 24)).columns
        return text.render(shown, width=max(width, 40), colour=_colour())

    @staticmethod
    def _stderr(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _silent(done: int, total: int, what: str) -> None:
    """No progress bar."""


@contextmanager
def _bar(title: str) -> Iterator[Advance]:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    title_column, what = TextColumn("{task.description}"), TextColumn("{task.fields[what]}")
    columns = (title_column, BarColumn(), MofNCompleteColumn(), what)
    console = RichConsole(stderr=True, highlight=False, markup=False)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, what="", total=None)

        def advance(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, what=what)

        yield advance


def _colour() -> bool:
    """Colour on terminals only; NO_COLOR forbids it (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
