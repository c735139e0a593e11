"""Parsers of the values that options take."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from onnxdup.errors import UsageError

Shapes = dict[str, tuple[int, ...]]
"""Shapes of dynamic inputs by name."""
TAU = click.FloatRange(min=0, max=1, min_open=True)
"""Type of a similarity threshold."""


def shapes(specifications: Iterable[str] | None) -> Shapes:
    """["x:1,3,224,224"] → {"x": (1, 3, 224, 224)}; "x:" is a scalar. Names may hold colons."""
    found: Shapes = {}
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


def target(model: str, output: Path | None, in_place: bool) -> Path:
    """The file to write; UsageError before any work where that cannot succeed."""
    if output is None and not in_place:
        raise UsageError("no output given", remedy="add -o FILE, or --in-place to replace the input")
    found = output or Path(model)
    folder = found.parent
    if found.is_dir():
        raise UsageError("the output is a folder", file=found, remedy="name a file")
    if not folder.is_dir():
        raise UsageError("the folder of the output does not exist", file=folder)
    if not os.access(folder, os.W_OK):
        raise UsageError("the folder of the output cannot be written", file=folder)
    if found.exists() and Path(model).exists() and found.samefile(model) and not in_place:
        raise UsageError(
            "the output is the input", file=found, remedy="choose another name or add --in-place"
        )
    return found
