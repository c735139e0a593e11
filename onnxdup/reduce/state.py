"""What a long search has tried so far, in a file that is always complete: interrupted runs go on from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxdup.errors import InputError, UsageError

VERSION = 1


class State:
    """Results by question, both JSON values. `subject` says what they are about (source, data, options).

    With a path every result is written at once, by renaming a complete file. `resume` reads what is there;
    a file about something else is a UsageError, one that cannot be read an InputError.
    """

    def __init__(self, subject: Mapping[str, Any], path: Path | None = None, *, resume: bool = False) -> None:
        self.path, self.subject = path, digest(subject)
        self.results: dict[str, Any] = {}
        if resume and path is None:
            raise UsageError("nothing to resume from", remedy="add --state FILE")
        if resume and path is not None and path.exists():
            self.results = _read(path, self.subject)
        self.resumed = len(self.results)

    def get(self, question: Any) -> Any:
        """The result of a question, None where it has none yet."""
        return self.results.get(_key(question))

    def put(self, question: Any, result: Any) -> None:
        """Remembers a result, on disk as well."""
        self.results[_key(question)] = result
        if self.path is not None:
            _write(self.path, {"onnxdup_state": VERSION, "subject": self.subject, "results": self.results})


def digest(value: Any) -> str:
    """sha256 of the JSON form."""
    return hashlib.sha256(_key(value).encode()).hexdigest()


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _read(path: Path, subject: str) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        version, about, results = held["onnxdup_state"], held["subject"], dict(held["results"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"is not the state of a search ({type(error).__name__})", file=path) from error
    if version != VERSION or about != subject:
        raise UsageError(
            "is the state of another search (other model, data, options or version)",
            file=path,
            remedy="repeat the command that wrote it, or leave --resume out",
        )
    return results


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", file=path) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
