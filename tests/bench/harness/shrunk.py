"""`shrink --max-drop` against the best single tau of the paper's method, whole nets.

    python tests/bench/harness/shrunk.py --models A.onnx B.onnx --data TEST.npz --out DIR

The first half of the images chooses, the second is measured on. The paper's tau is the one of TAUS that
removes the most while the drop is shown to be at most `--max-drop` at 95 %, the rule that `shrink` applies.
DIR/shrunk.csv gets a line per model and method; `page` makes a table of all such files.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from facts import parameters
from measure import Split, right

import onnxdup
from onnxdup.errors import GateFailed
from onnxdup.evaluation.statistics import paired

TAUS = (0.99, 0.97, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4)


@dataclass(frozen=True)
class Found:
    """What a method removes of a model: shares of parameters, drops in percentage points."""

    model: str
    method: str
    parameters_removed: float
    drop_where_chosen: float
    drop_measured: float
    setting: str
    seconds: float


@dataclass(frozen=True)
class Halves:
    """The images that choose, those that measure, and the base's right answers on both."""

    choose: Split
    measure: Split
    base: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, path: Path, split: Split) -> Halves:
        """Split in two, and the base's answers."""
        half = len(split.y) // 2
        parts = Split(split.x[:half], split.y[:half]), Split(split.x[half:], split.y[half:])
        bits = tuple(right(str(path), part) for part in parts)
        return cls(*parts, (bits[0], bits[1]))


def main() -> None:
    """Measure both methods on every model."""
    args = _parser().parse_args()
    split = Split.read(args.data, args.limit)
    args.out.mkdir(parents=True, exist_ok=True)
    found = []
    for path in args.models:
        halves = Halves.of(path, split)
        for attempt in (shrunk, papers):
            found.append(_timed(attempt, path, halves, args.max_drop))
            print(*astuple(found[-1]), flush=True)
    with (args.out / "shrunk.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([f.name for f in fields(Found)])
        table.writerows(astuple(f) for f in found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--max-drop", type=float, default=0.5)
    parser.add_argument("--out", type=Path, required=True)
    return parser


Attempt = Callable[[Path, Halves, float], tuple[onnx.ModelProto, str]]


def _timed(attempt: Attempt, path: Path, halves: Halves, limit: float) -> Found:
    started = time.perf_counter()
    model, setting = attempt(path, halves, limit)
    seconds = time.perf_counter() - started
    removed = 1 - parameters(model) / parameters(onnx.load(path))
    raw = model.SerializeToString()
    drops = [
        100 * float(base.mean() - right(raw, part).mean())
        for base, part in zip(halves.base, (halves.choose, halves.measure), strict=True)
    ]
    return Found(path.stem, attempt.__name__, removed, *drops, setting, round(seconds, 1))


def shrunk(path: Path, halves: Halves, limit: float) -> tuple[onnx.ModelProto, str]:
    """`onnxdup.shrink` without calibration data; the model itself where nothing is within the budget."""
    data = {"x": halves.choose.x, "y": halves.choose.y}
    try:
        return _saved(onnxdup.shrink(path, max_drop=limit, data=data, provider="cpu")), "shrink"
    except GateFailed as error:
        return onnx.load(path), str(error)


def papers(path: Path, halves: Halves, limit: float) -> tuple[onnx.ModelProto, str]:
    """The paper's method at the tau that removes most within the limit."""
    good = [(model, f"tau {tau:g}") for tau, model in _at_taus(path) if _within(model, halves, limit)]
    return min(good, key=lambda item: parameters(item[0]), default=(onnx.load(path), "no tau"))


def _at_taus(path: Path) -> Iterator[tuple[float, onnx.ModelProto]]:
    for tau in TAUS:
        yield tau, _saved(onnxdup.merge(path, method="paper", tau=tau, provider="cpu"))


def _within(model: onnx.ModelProto, halves: Halves, limit: float) -> bool:
    after = right(model.SerializeToString(), halves.choose)
    return paired(halves.base[0], after).drop_below(limit / 100)


def _saved(result: onnxdup.Merged | onnxdup.Shrunk) -> onnx.ModelProto:
    with TemporaryDirectory() as folder:
        return onnx.load(result.save(Path(folder) / "small.onnx"))


def markdown(files: Sequence[Path]) -> str:
    """A table of what was removed and lost, a line per model; empty without files."""
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for path in files:
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows.setdefault(row["model"], {})[row["method"]] = row
    head = (
        "| model | shrink: parameters removed | points lost | best tau of `paper` | removed | points lost |"
    )
    body = [
        f"| {name} | {_cells(m['shrunk'])} | {m['papers']['setting']} | {_cells(m['papers'])} |"
        for name, m in rows.items()
    ]
    return "\n".join([head, "|---" * 6 + "|", *body]) if rows else ""


def _cells(row: dict[str, str]) -> str:
    return f"{100 * float(row['parameters_removed']):.1f} % | {float(row['drop_measured']):.2f}"


if __name__ == "__main__":
    main()
