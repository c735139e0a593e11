"""From finished cells to results.csv, layers.csv and summary.md.

Two methods are called tied in a row where their difference is smaller than the spread: the mean paired
difference over the seeds is within its standard deviation over the seeds, or McNemar's exact test on all
images of all seeds pooled finds nothing at 5 %. In the tables the best is bold, and "=" marks a tie with it:
lines without data are held against the best without data, lines with data against the best of all.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cells import Book, Outcome
from measure import unpacked

from onnxdup.evaluation.statistics import mcnemar, wilson

LEVEL = 0.05
SLACK = 0.02
"""Shares of channels that differ by more are not compared."""
Rows = dict[tuple[str, str], list["Line"]]


@dataclass(frozen=True)
class Line:
    """One method (with `images` calibration images) at one share kept, over the seeds of a row.

    `bases` are the accuracies of the models that were cut, in the order of the outcomes.
    """

    method: str
    images: int
    keep: float
    outcomes: tuple[Outcome, ...]
    bases: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Method, with the number of images it sees."""
        return self.method + (f" ({self.images} images)" if self.images else "")

    @property
    def accuracy(self) -> float:
        """Mean over the seeds, per cent."""
        return float(np.mean([100 * (o.accuracy or 0) for o in self.outcomes]))

    @property
    def lost(self) -> float:
        """Percentage points lost against the models that were cut, mean over the seeds."""
        return float(np.mean(self._losses))

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds of the points lost, of the base: its accuracy; 0 for one."""
        values = [100 * b for b in self.bases] if self.method == "base" else self._losses
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    @property
    def _losses(self) -> list[float]:
        return [100 * (b - (o.accuracy or 0)) for b, o in zip(self.bases, self.outcomes, strict=True)]

    @property
    def kept(self) -> float:
        """Share of the channels that is left, mean over the seeds."""
        return float(np.mean([o.kept for o in self.outcomes]))

    @property
    def comparable(self) -> bool:
        """Did it leave about as many channels as it was asked to?"""
        return abs(self.kept - self.keep) <= SLACK


def tied(first: Line, second: Line) -> bool:
    """Is the difference of two lines smaller than the spread? (over the seeds that both have)"""
    mine = {o.cell.seed: o for o in first.outcomes}
    pairs = [(mine[o.cell.seed], o) for o in second.outcomes if o.cell.seed in mine]
    if not pairs:
        return False
    bits = [(unpacked(a.right, a.samples), unpacked(b.right, b.samples)) for a, b in pairs]
    only = [int(sum((p & ~q).sum() for p, q in bits)), int(sum((q & ~p).sum() for p, q in bits))]
    gaps = [100 * (p.mean() - q.mean()) for p, q in bits]
    within = len(gaps) > 1 and abs(np.mean(gaps)) <= np.std(gaps, ddof=1)
    return bool(within or mcnemar(*only) > LEVEL)


def lines(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], list[Line]]:
    """Lines of each (row, scope), of the models whose base was measured."""
    bases = {(o.cell.model, o.cell.scope): o.accuracy for o in outcomes if o.cell.method == "base"}
    held: dict[tuple[str, str], dict[tuple[str, int, float], list[Outcome]]] = defaultdict(dict)
    for o in outcomes:
        if o.accuracy is not None and (o.cell.model, o.cell.scope) in bases:
            key = (o.cell.method, o.cell.images, o.cell.keep)
            held[o.cell.row, o.cell.scope].setdefault(key, []).append(o)

    def line(key: tuple[str, int, float], found: list[Outcome]) -> Line:
        return Line(*key, tuple(found), tuple(bases[o.cell.model, o.cell.scope] or 0.0 for o in found))

    return {row: [line(key, found) for key, found in cells.items()] for row, cells in held.items()}


def summary(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a table per model and scope, methods by row, shares kept by column."""
    parts = [_table(row, scope, found) for (row, scope), found in sorted(lines(outcomes).items())]
    return "\n\n".join([*parts, _reasons(outcomes)]).rstrip() + "\n"


def _table(row: str, scope: str, found: Sequence[Line]) -> str:
    others = [line for line in found if line.method != "base"]
    keeps = sorted({line.keep for line in others}, reverse=True)
    best = {(keep, data): _best(others, keep, data) for keep in keeps for data in (False, True)}
    seeds = max(len(line.outcomes) for line in found)
    cells = {(bool(line.images), line.name, line.keep): line for line in others}
    body = [
        f"| {name} | "
        + " | ".join(_cell(cells.get((data, name, k)), best[k, data], seeds) for k in keeps)
        + " |"
        for data, name in sorted({key[:2] for key in cells})
    ]
    head = ["| method | " + " | ".join(f"keep {k:g}" for k in keeps) + " |", "|---" * (len(keeps) + 1) + "|"]
    return "\n".join([_title(row, scope, found), *head, *body])


def _best(found: Sequence[Line], keep: float, data: bool) -> Line | None:
    """The line that loses least: of those without data, or of all; of those over all seeds."""
    candidates = [x for x in full(found) if x.keep == keep and x.comparable and (data or not x.images)]
    return min(candidates, key=lambda line: line.lost, default=None)


def full(found: Sequence[Line]) -> list[Line]:
    """The lines with as many seeds as the one with most: means over other seeds are not compared."""
    most = max((len(line.outcomes) for line in found), default=0)
    return [line for line in found if len(line.outcomes) == most]


def _title(row: str, scope: str, found: Sequence[Line]) -> str:
    what = "the layers of families.toml" if scope == "layers" else "every unfrozen group"
    title = f"### {row}, {what} cut\n"
    base = next((line for line in found if line.method == "base"), None)
    if base is None:
        return title
    samples, seeds = base.outcomes[0].samples, len(base.outcomes)
    half = 100 * wilson(round(base.accuracy / 100 * samples), samples).high - base.accuracy
    return (
        f"{title}\nBase {_figure(base)} % on {samples} test images (± {half:.1f} at 95 %), "
        f"{seeds} seed{'s' * (seeds > 1)}.\n"
    )


def _cell(line: Line | None, best: Line | None, seeds: int) -> str:
    if line is None:
        return "–"
    text = _figure(line)
    if not line.comparable:
        return f"{text} [kept {line.kept:.2f}]"
    if len(line.outcomes) < seeds:
        return f"{text} [{len(line.outcomes)} of {seeds} seeds]"
    if best is None or line is best:
        return f"**{text}**"
    return f"{text} =" if tied(best, line) else text


def _figure(line: Line) -> str:
    spread = f" ± {line.spread:.2f}" if len(line.outcomes) > 1 else ""
    if line.method == "base":
        return f"{line.accuracy:.2f}{spread}"
    return f"{line.accuracy:.2f} ({-line.lost:+.2f}{spread})"


def _reasons(outcomes: Sequence[Outcome]) -> str:
    found: dict[str, list[str]] = defaultdict(list)
    for o in outcomes:
        if o.reason:
            found[o.reason].append(f"{o.cell.model} {o.cell.method} keep {o.cell.keep:g}")
    if not found:
        return ""
    listed = [f"- {where[0]}{_more(where)}: {why}" for why, where in found.items()]
    return "No result:\n" + "\n".join(listed)


def _more(where: Sequence[str]) -> str:
    return f" and {len(where) - 1} more" if len(where) > 1 else ""


def write(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """results.csv (a line per cell), layers.csv (a line per cell and layer) and summary.md."""
    columns = ("model", "row", "seed", "scope", "method", "images", "keep")
    base = {(o.cell.model, o.cell.scope): o for o in outcomes if o.cell.method == "base"}
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        extra = ("kept", "samples", "accuracy", "low", "high", "base", "parameters", "base_parameters")
        out.writerow([*columns, *extra, "seconds", "date", "version", "reason"])
        for o in outcomes:
            out.writerow(_record(o, base.get((o.cell.model, o.cell.scope)), columns))
    with (folder / "layers.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow([*columns, "layer", "before", "after"])
        for o in outcomes:
            cell = [getattr(o.cell, c) for c in columns]
            out.writerows([*cell, layer, before, after] for layer, (before, after) in o.layers.items())
    (folder / "summary.md").write_text(summary(outcomes), encoding="utf-8")


def _record(o: Outcome, base: Outcome | None, columns: Sequence[str]) -> list[object]:
    cell = [getattr(o.cell, c) for c in columns]
    if o.accuracy is None:
        return [*cell, *[""] * 8, o.cut, o.date, o.version, o.reason]
    interval = wilson(round(o.accuracy * o.samples), o.samples)
    before = (base.accuracy, base.parameters) if base is not None else ("", "")
    measured = [round(o.kept, 4), o.samples, o.accuracy, round(interval.low, 4), round(interval.high, 4)]
    return [*cell, *measured, before[0], o.parameters, before[1], o.cut, o.date, o.version, o.reason]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write(place, list(Book(place).outcomes.values()))
