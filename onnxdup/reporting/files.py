"""Files of text that a command leaves behind."""

from __future__ import annotations

from pathlib import Path

from onnxdup.errors import UsageError


def write_text(path: str | Path, text: str, what: str = "") -> Path:
    """Writes `text` as UTF-8; returns the path. UsageError, which calls it `what`, where that fails."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{what} cannot be written: {error.strerror}".lstrip(), file=path) from error
    return Path(path)
