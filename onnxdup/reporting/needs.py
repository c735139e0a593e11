"""Packages that only some answers need: asked for before any work, with the command that brings them."""

from __future__ import annotations

from importlib.util import find_spec

from onnxdup.errors import UsageError


def needs(what: str, *packages: str) -> None:
    """Raises `UsageError` with the pip command where one of the packages is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UsageError(f"{what} needs {' and '.join(missing)}", remedy=f"pip install {' '.join(missing)}")
