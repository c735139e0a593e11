"""Parsers of the values that options take."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from onnxdup.errors import UsageError

TAU = click.FloatRange(min=0, max=1, min_open=True)
"""Type of a similarity threshold."""


def shapes(specifications: Iterable[str] | None) -> dict[str, tuple[int, ...]]:
    """["x:1,3,224,224"] → {"x": (1, 3, 224, 224)}; "x:" is a scalar. Names may hold colons."""
    found: dict[str, tuple[int, ...]] = {}
    for text in specifications or ():
        name, colon, dims = text.rpartition(":")
        try:
            found[name] = tuple(int(d) for d in dims.split(",") if d.strip())
        except ValueError:
            colon = ""
        if not colon or not name or any(d < 0 for d in found[name]):
            raise UsageError(
                f"--input-shape {text} is not a name and dimensions", remedy="write x:1,3,224,224"
            )
    return found


def models(patterns: Sequence[str]) -> list[str]:
    """Files that the arguments name, globs expanded and sorted, each once; a glob without a match is a
    UsageError.
    """
    found: list[str] = []
    for pattern in patterns:
        if Path(pattern).exists() or not glob.has_magic(pattern):
            found.append(pattern)
            continue
        matches = sorted(p for p in glob.glob(pattern, recursive=True) if Path(p).is_file())  # noqa: PTH207
        if not matches:
            raise UsageError(f"the glob {pattern} matches no file")
        found += matches
    return list(dict.fromkeys(found))
