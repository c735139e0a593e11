"""The page of results, from the folders of finished jobs."""

from __future__ import annotations

import csv
import platform
import tomllib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import goals
import shrunk
import table
from cells import Book, Outcome
from peers import PEERS

PROSE: dict[str, str] = tomllib.loads(Path(__file__).with_name("prose.toml").read_text(encoding="utf-8"))


def page(folder: Path, jobs: Sequence[dict[str, Any]]) -> str:
    """The whole page as Markdown."""
    books = {job["name"]: list(Book(folder / job["name"]).outcomes.values()) for job in jobs}
    every = [o for book in books.values() for o in book]
    parts = [
        PROSE["head"],
        _machine(every),
        PROSE["models"],
        goals.report(every),
        *_tables(books, jobs),
        _peers(),
    ]
    parts += [*_shrunk(folder), *_predicted(folder), *_scaling(folder), PROSE["commands"]]
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _machine(outcomes: Sequence[Outcome]) -> str:
    dates = sorted({o.date for o in outcomes})
    versions = sorted({o.version for o in outcomes})
    tools = ", ".join(
        f"{name} {_version(name)}" for name in ("onnxruntime-gpu", "onnxsim", "torch-pruning", "torch")
    )
    return (
        f"Machine: {_cpu()}, {platform.system()}, Python {platform.python_version()}; {tools}. "
        f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))} at {', '.join(versions)}.\n"
        if outcomes
        else ""
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor() or "unknown processor"


def _tables(books: dict[str, list[Outcome]], jobs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for job in jobs:
        if books[job["name"]]:
            yield f"## {job['title']}\n\n{table.summary(books[job['name']])}"


def _peers() -> str:
    listed = "\n".join(f"- `{p.name}`: {p.what}" for p in PEERS.values())
    return PROSE["peers"].format(listed=listed)


def _predicted(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("predicted*/predicted.md")):
        yield PROSE["predicted"].format(table=path.read_text(encoding="utf-8"))


def _shrunk(folder: Path) -> Iterator[str]:
    if rows := shrunk.markdown(sorted(folder.glob("shrunk*/shrunk.csv"))):
        yield PROSE["shrunk"].format(table=rows)


def _scaling(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("scaling*/*.csv")):
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        head = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
        body = ["| " + " | ".join(row.values()) + " |" for row in rows]
        yield PROSE["scaling"].format(name=path.stem, table="\n".join([*head, *body]))
