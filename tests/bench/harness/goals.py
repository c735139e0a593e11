"""What the results say about the stated goals: a table of goal, measured, verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cells import Outcome
from table import Line, full, lines, tied

OURS = ("obs", "cluster", "ward", "refine", "shrink")
"""Of the methods, those of this project."""
MLP = {
    "mlp500_standardised_wd5e-4": ((0.5, 2.5), (0.2, 10.0)),
    "mlp500_standardised_wd.02": ((0.5, 0.3), (0.2, 2.0)),
    "mlp500e15_standardised_wd.02": ((0.5, 0.3), (0.2, 2.0)),
}
RESNETS = ("resnet20e4_bn", "resnet20e6_bn")
RIVALS = ("fold-repair", "neuron-merging")
Rows = dict[tuple[str, str], list[Line]]


def report(outcomes: Sequence[Outcome]) -> str:
    """Markdown of all goals that the outcomes can judge."""
    rows = lines(outcomes)
    body = [*_mlp(rows), *(line for row in RESNETS for line in _resnet(rows, row))]
    if not body:
        return ""
    head = "| goal | measured | reached |\n|---|---|---|\n"
    lost = "\n".join(_lost(rows)) or "None."
    return (
        "## Goals\n\n" + head + "\n".join(body) + "\n\nCells in which another method is ahead of the best of "
        f"{', '.join(OURS)} by more than the spread:\n\n{lost}\n"
    )


def _find(rows: Rows, row: str, method: str, keep: float, data: bool, scope: str = "layers") -> Line | None:
    for line in rows.get((row, scope), ()):
        if line.method == method and line.keep == keep and bool(line.images) == data:
            return line
    return None


def _mlp(rows: Rows) -> Iterator[str]:
    for row, keep, limit in ((row, *goal) for row, goals in MLP.items() for goal in goals):
        found = [line for m in OURS if (line := _find(rows, row, m, keep, False)) is not None]
        if found:
            drops = ", ".join(f"{line.method} {line.lost:.2f}" for line in found)
            best = min(line.lost for line in found)
            what = f"{row}, {1 - keep:.0%} of fc1 removed without data: at most {limit:g} points"
            yield _row(what, drops, best <= limit)


def _resnet(rows: Rows, row: str) -> Iterator[str]:
    norm = _find(rows, row, "norm", 0.6, False)
    if norm is None:
        return
    lost = norm.lost
    for data, share in ((False, 5), (True, 10)):
        mine = _find(rows, row, "obs", 0.6, data)
        what = "with calibration images" if data else "without data"
        if mine is None:
            continue
        drop = mine.lost
        limit = f"{row}, 40 % removed {what}: at most 1/{share} of what norm loses"
        yield _row(limit, f"{drop:.2f} of {lost:.2f}", drop * share <= lost)
        for rival in (_find(rows, row, name, 0.6, False) for name in RIVALS):
            if rival is not None:
                ahead = mine.lost < rival.lost and not tied(mine, rival)
                figures = f"{mine.lost:.2f} against {rival.lost:.2f}"
                yield _row(f"the same, ahead of {rival.name} by more than the spread", figures, ahead)


def _row(goal: str, measured: str, reached: bool) -> str:
    return f"| {goal} | {measured} | {'yes' if reached else 'no'} |"


def _lost(rows: Rows) -> Iterator[str]:
    for (row, scope), found in sorted(rows.items()):
        found = full(found)
        for keep in sorted({line.keep for line in found if line.method != "base"}, reverse=True):
            for data in (False, True):
                some = [x for x in found if x.keep == keep and x.comparable and bool(x.images) == data]
                mine = [line for line in some if line.method in OURS]
                if not mine or len(mine) == len(some):
                    continue
                best = min(mine, key=lambda line: line.lost)
                for line in some:
                    if line.lost < best.lost and not tied(line, best):
                        yield (
                            f"- {row} ({scope}), keep {keep:g}: {line.name} loses {line.lost:.2f}, "
                            f"{best.name} {best.lost:.2f}"
                        )
