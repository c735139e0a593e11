"""README.md as data: its fenced blocks, the commands in them, and the generated operator table."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- operators:begin -->", "<!-- operators:end -->"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A `$` line of a console block with the output shown below it."""

    line: str
    shown: str


def blocks(text: str, language: str) -> list[str]:
    """Bodies of the fenced blocks in one language."""
    return [body for name, body in _FENCE.findall(text) if name == language]


def commands(body: str) -> list[Command]:
    """The commands of a console block."""
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    return [Command(*_split(part)) for part in parts]


def _split(part: str) -> tuple[str, str]:
    line, _, shown = part.partition("\n")
    return line, shown


def workshop(folder: Path) -> dict[str, str]:
    """A folder in which README's commands find `samples/` and `onnxdup`; returns its environment."""
    (folder / "samples").symlink_to(ROOT / "samples")
    (folder / "training").symlink_to(ROOT / "training")
    tools = folder / ".tools"
    tools.mkdir()
    for name, module in (("onnxdup", "-m onnxdup"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (tools / name).chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ONNXDUP_")}
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "ONNXDUP_PROVIDER": "cpu"}


def run(line: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One command line, as a shell would run it."""
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def operator_table() -> str:
    """The operator table as Markdown, one row per kind and set of relations that pass."""
    from onnxdup.channels import operator_table as rows

    grouped: dict[tuple[str, str], list[str]] = {}
    for row in rows():
        grouped.setdefault((row.kind, row.passes), []).append(row.name)
    lines = [
        f"| {kind} | {passes.replace('|', chr(92) + '|')} | {', '.join(sorted(names))} |"
        for (kind, passes), names in sorted(grouped.items())
    ]
    return "\n".join(["| kind | what passes | operators |", "|---|---|---|", *lines])


def generated_table(text: str) -> str:
    """What README.md holds between the markers."""
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def masked(text: str) -> Iterator[str]:
    """Output lines with numbers, blanks and rules masked: what must not change between machines."""
    for line in text.splitlines():
        if line.strip():
            line = re.sub(r"\b[0-9a-f]{12}\b|[-+]?\d[\d,.]*(e[-+]?\d+)?", "#", line)
            yield re.sub(r"\s+", " ", re.sub(r"─+", "─", line)).strip()
