"""The zoo: published ONNX files with a manifest. They are not part of the repository.

Found in the folder that the environment variable ONNXDUP_ZOO names, else in `shared/zoo` beside the checkout.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("ONNXDUP_ZOO", CHECKOUT.parent / "shared" / "zoo"))


@dataclass(frozen=True)
class Entry:
    """One line of the manifest."""

    name: str
    category: str
    path: Path
    runs: bool
    shapes: dict[str, tuple[int, ...]] = field(compare=False)

    @classmethod
    def of(cls, line: dict[str, Any]) -> Entry:
        """The part of a manifest line that is needed here."""
        runs = line.get("ort_run") == "ok"
        found = line.get("ort_run_detail", {}).get("shapes", {}) if runs else {}
        shapes = {name: tuple(shape) for name, shape in found.items()}
        return cls(line["name"], line["category"], FOLDER / line["file"], runs, shapes)


def entries() -> list[Entry]:
    """Every file of the manifest, by name; none where the zoo is absent."""
    manifest = FOLDER / "manifest.jsonl"
    if not manifest.is_file():
        return []
    lines = (json.loads(line) for line in manifest.read_text().splitlines() if line.strip())
    return sorted((Entry.of(line) for line in lines), key=lambda entry: entry.name)
