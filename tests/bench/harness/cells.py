"""Cells of the harness, and the file that holds the finished ones: a JSON object per line, appended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One measurement to make. `scope`: "layers" cuts the family's layers, "all" every unfrozen group.

    `images`: how many calibration images the method sees; `keep`: share of channels, 1 for the base.
    """

    model: str
    row: str
    seed: int
    scope: str
    method: str
    images: int
    keep: float

    @property
    def key(self) -> str:
        """What makes a cell the same cell in another run."""
        return f"{self.model}|{self.scope}|{self.method}|{self.images}|{self.keep:g}"


@dataclass(frozen=True)
class Outcome:
    """A finished cell. `right`: packed bits of the test images; `layers`: channels before and after.

    `reason` says why there is no result. Times are seconds, `cut` without the evaluation.
    """

    cell: Cell
    samples: int = 0
    accuracy: float | None = None
    right: str = ""
    parameters: int = 0
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)
    cut: float = 0.0
    reason: str = ""
    date: str = ""
    version: str = ""

    @property
    def kept(self) -> float:
        """Share of the channels in the cut layers that are left."""
        before = sum(b for b, _ in self.layers.values())
        return sum(a for _, a in self.layers.values()) / before if before else 1.0


class Book:
    """The finished cells of a folder; the last line of a cell counts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cells.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.outcomes = {o.cell.key: o for o in self._read()}

    def _read(self) -> Iterator[Outcome]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        for line in text.splitlines():
            d: dict[str, Any] = json.loads(line)
            layers = {k: (v[0], v[1]) for k, v in d.pop("layers").items()}
            yield Outcome(Cell(**d.pop("cell")), layers=layers, **d)

    def add(self, outcome: Outcome) -> None:
        """Append a finished cell."""
        self.outcomes[outcome.cell.key] = outcome
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
