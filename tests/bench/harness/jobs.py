"""What a peer is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class Absent(Exception):
    """A peer cannot do a cell; the text says why."""


@dataclass(frozen=True)
class Job:
    """`keep` of the channels of the layers that `include` names (empty: every layer it can cut)."""

    model: Path
    keep: float
    include: tuple[str, ...]
    calibration: Path | None = None
    runs: Path | None = None
