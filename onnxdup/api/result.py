"""A verified smaller model, and how its files are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from onnxdup.graph import Document, write
from onnxdup.merging import MergePlan
from onnxdup.reporting.files import write_text
from onnxdup.reporting.ledger import Ledger, ledger_path

R = TypeVar("R")


@dataclass(frozen=True)
class Result(Generic[R]):
    """A verified smaller model, with its `report`, `plan` and `ledger` of exact merges (None without)."""

    document: Document = field(repr=False)
    report: R
    plan: MergePlan = field(repr=False)
    ledger: Ledger | None = field(repr=False)

    def save(self, path: str | Path, *, in_place: bool = False, ledger: str | Path | None = None) -> Path:
        """Writes the model, and the ledger beside it (default: PATH.ledger.json); returns the path."""
        written = write(self.document, path, in_place=in_place)[0]
        write_ledger(self.ledger, written, ledger)
        return written

    def save_plan(self, path: str | Path) -> None:
        """Writes the plan as JSON, for `merge(plan=...)`."""
        write_text(path, self.plan.to_json())


def write_ledger(ledger: Ledger | None, model: Path, path: str | Path | None = None) -> Path | None:
    """Writes a ledger beside a model, or at `path`; a ledger left there by an earlier merge goes."""
    beside = ledger_path(model) if path is None else Path(path)
    if ledger is not None:
        write_text(beside, ledger.to_json())
        return beside
    if path is None:
        beside.unlink(missing_ok=True)
    return None
