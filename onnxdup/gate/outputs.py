"""`python -m onnxdup.gate.outputs CHECK.json`: the outputs of the GitHub action, as KEY=VALUE lines."""

from __future__ import annotations

import sys
from pathlib import Path

from onnxdup.errors import InputError
from onnxdup.gate.archive import read
from onnxdup.gate.schema import CheckReport


def render(report: CheckReport) -> str:
    """duplicate-ratio over all filters, saved-bytes over the models with a base, verdict."""
    at = [m.facts.taus[0] for m in report.models if m.facts.taus]
    filters, components = sum(t.filters for t in at), sum(t.components for t in at)
    ratio = f"{1 - components / filters:.6f}" if filters else ""
    saved = [m.facts.base.model.bytes - m.facts.model.bytes for m in report.models if m.facts.base]
    total = str(sum(saved)) if saved else ""
    return f"duplicate-ratio={ratio}\nsaved-bytes={total}\nverdict={report.status}\n"


def main(path: str) -> None:
    """Reads a report of `check` and prints the outputs."""
    found = read(Path(path).read_text(encoding="utf-8"))
    if not isinstance(found, CheckReport):
        raise InputError("not a report of onnxdup check", file=path)
    sys.stdout.write(render(found))


if __name__ == "__main__":
    main(sys.argv[1])
