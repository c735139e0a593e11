"""The table over the zoo, in Markdown: `python tests/zoo/table.py [FILE]` (else to standard output)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1]), str(HERE.parent)]

from zoo_files import Entry, entries  # noqa: E402
from zoo_laws import Specimen, excess, filters_by_reason, relative_error, removed  # noqa: E402

from onnxdup.errors import OnnxdupError  # noqa: E402
from onnxdup.graph import load  # noqa: E402
from onnxdup.reduce import merge  # noqa: E402

HEAD = (
    "file, category, runs, layers, filters, in free groups, groups free/all, most frequent reason, "
    "removed at 1, error, removed at .99, error, recovered/planted, outputs"
)


@dataclass
class Row:
    """One line of the table."""

    entry: Entry
    outcome: str = ""
    layers: int = 0
    filters: int = 0
    free: int = 0
    groups: tuple[int, int] = (0, 0)
    why: Counter[str] = field(default_factory=Counter)
    removed: dict[float, int] = field(default_factory=dict)
    error: dict[float, str] = field(default_factory=dict)
    planted: tuple[int, int] = (0, 0)
    outputs: str = "–"

    def cells(self) -> Iterator[str]:
        """The line, column by column."""
        yield from (self.entry.name, self.entry.category, self.outcome)
        yield from (str(self.layers), str(self.filters), str(self.free), "{}/{}".format(*self.groups))
        yield ", ".join(f"{reason} ({count})" for reason, count in self.why.most_common(1)) or "–"
        for tau in (1.0, 0.99):
            yield from (str(self.removed.get(tau, "–")), self.error.get(tau, "–"))
        yield from ("{}/{}".format(*self.planted), self.outputs)


def measure(entry: Entry) -> Row:
    """Everything about one file; a refusal is a row too."""
    row, found = Row(entry, "yes" if entry.runs else "no"), Specimen(entry)
    try:
        _structure(row, found)
        _as_it_is(row, found)
        _planted(row, found)
    except OnnxdupError as error:
        row.outcome = f"refused: {error}"
    return row


def _structure(row: Row, found: Specimen) -> None:
    traced = found.trace
    row.layers = len(traced.layers)
    row.why = filters_by_reason(traced)
    row.filters, row.free = row.why.total(), row.why.pop("", 0)
    row.groups = (sum(g.frozen is None for g in traced.groups), len(traced.groups))


def _as_it_is(row: Row, found: Specimen) -> None:
    for tau in (1.0, 0.99):
        reduction = found.reduction if tau == 1 else merge(found.document, tau, input_shapes=found.shapes)
        row.removed[tau] = reduction.removed
        if reduction.changed and row.entry.runs:
            row.error[tau] = f"{relative_error(found.compare(found.document, reduction.document)):.1e}"


def _planted(row: Row, found: Specimen) -> None:
    wrong = 0
    for scaled in (False, True) if found.free else ():
        model, counts = found.planted(scaled=scaled)
        planted = load(model)
        reduction = merge(planted, 1.0, input_shapes=found.shapes)
        hits = sum((removed(reduction) & counts).values())
        row.planted = (row.planted[0] + hits, row.planted[1] + counts.total())
        if row.entry.runs:
            wrong += bool(excess(found.compare(planted, reduction.document)))
            row.outputs = "differ" if wrong else "equal"


def lines(rows: list[Row]) -> Iterator[str]:
    """The table, shares per category, and the reasons."""
    names = HEAD.split(", ")
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |"
    total, free = sum(r.filters for r in rows), sum(r.free for r in rows)
    yield ""
    yield f"{free} of {total} filters ({free / max(total, 1):.0%}) are in groups that may be merged."
    yield ""
    yield "| category | filters | in free groups |"
    yield "|---|---|---|"
    for category in sorted({r.entry.category for r in rows}):
        own = [r for r in rows if r.entry.category == category]
        count = sum(r.filters for r in own)
        yield f"| {category} | {count} | {sum(r.free for r in own) / max(count, 1):.0%} |"
    yield ""
    yield "| why filters stay | filters |"
    yield "|---|---|"
    for reason, count in sum((r.why for r in rows), Counter[str]()).most_common(15):
        yield f"| {reason} | {count} |"


def main(arguments: list[str]) -> None:
    """Measure all files and write the table."""
    rows = []
    for entry in entries():
        rows.append(measure(entry))
        print(f"{entry.name}: {rows[-1].outcome}", file=sys.stderr, flush=True)
    text = "\n".join(lines(rows)) + "\n"
    if arguments:
        Path(arguments[0]).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
