"""What a training run shows on stderr: a progress bar on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """Receives what happens in a run."""

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        """`done` of `total` batches of an epoch are trained."""

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """An epoch has ended with these numbers."""


class Silent:
    """Reports nothing."""

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """Nothing."""


class ProgressBar:
    """A bar per epoch with loss and accuracy; context manager. Falls back to lines without a terminal."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._start = console, time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID = self._bar.add_task(f"epoch 1/{epochs}", note="")
        self._epochs = epochs

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def batch(self, epoch: int, done: int, total: int, loss: float, accuracy: float) -> None:
        """Advance the bar."""
        note = f"loss {loss:.4f}  accuracy {accuracy:.2%}"
        self._bar.update(
            self._task, description=f"epoch {epoch}/{self._epochs}", completed=done, total=total, note=note
        )

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """One line that stays."""
        self._console.print(
            f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  lr {row['lr']:.2e}"
            f"  train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.2%}"
            f"  test loss {row['test_loss']:.4f} accuracy {row['test_accuracy']:.2%}"
            f"  [{time.monotonic() - self._start:.0f} s]",
            highlight=False,
            soft_wrap=True,
        )
