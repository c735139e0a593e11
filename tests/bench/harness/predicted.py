"""Predicted against measured error of every group, and their rank correlation.

    python tests/bench/harness/predicted.py --models A.onnx B.onnx --data TEST.npz --out DIR

Each group is cut alone by `obs`. Predicted: the cost of the channels that went over the power of what the
next layers compute from the group, both from the moments. Measured: the squared difference of what these
layers put out, in the cut model and the original, over its variance on test images. DIR/predicted.csv has a
line per group and share kept, DIR/predicted.md Spearman's rank correlations.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from families import subject
from measure import Split, session
from ours import Request, open_groups, reduced
from scipy.stats import spearmanr

from onnxdup.channels import ChannelGroup, Trace, trace
from onnxdup.graph import Document, load
from onnxdup.merging import METHODS, Analytic
from onnxdup.merging.methods import order, problem_of


@dataclass(frozen=True)
class Pair:
    """Relative squared errors of one group at one share kept."""

    model: str
    images: int
    group: str
    size: int
    keep: float
    predicted: float
    measured: float


def main() -> None:
    """Measure every group of every model."""
    args = _parser().parse_args()
    split = Split.read(args.data, args.limit)
    pairs = [pair for path in args.models for pair in measured_pairs(path, split, args)]
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "predicted.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([f.name for f in fields(Pair)])
        table.writerows(astuple(pair) for pair in pairs)
    (args.out / "predicted.md").write_text(correlations(pairs), encoding="utf-8")
    print(correlations(pairs))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--keep", type=float, nargs="+", default=[0.8, 0.6])
    parser.add_argument("--scope", choices=("layers", "all"), default="all")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def measured_pairs(path: Path, split: Split, args: argparse.Namespace) -> Iterator[Pair]:
    """The pairs of one model, without data."""
    what = subject(path)
    document = load(path)
    traced = trace(document)
    for group in open_groups(traced, what.include if args.scope == "layers" else ()):
        for keep in args.keep:
            expected = predicted(group, traced, keep)
            if expected is None:
                continue
            found = measured(document, group, keep, split)
            yield Pair(path.stem, 0, group.name, group.size, keep, expected, found)


def predicted(group: ChannelGroup, traced: Trace, keep: float) -> float | None:
    """Cost over power of the channels that `obs` removes first; None where it knows no moments."""
    problem = problem_of(group, traced, Analytic(traced))
    removal = None if problem is None else order(METHODS["obs"], problem)
    if removal is None:
        return None
    gone = group.size - max(1, round(keep * group.size))
    return float(removal.cost[:gone].sum()) / max(removal.power, 1e-30)


def measured(document: Document, group: ChannelGroup, keep: float, split: Split) -> float:
    """Squared difference of the readers' outputs over their variance, over all readers of the group."""
    readers = [sink.node.outputs[0] for sink in group.sinks]
    producer = next(b.tensor for b in group.producers)
    cut = reduced(document, Request("obs", keep, (producer,)))
    error = power = 0.0
    before, after = (outputs(model, readers, split) for model in (_proto(document), cut))
    for old, new in zip(before, after, strict=True):
        spread = old - old.mean(axis=tuple(k for k in range(old.ndim) if k != 1), keepdims=True)
        error += float(((old - new) ** 2).sum())
        power += float((spread**2).sum())
    return error / max(power, 1e-30)


def outputs(model: onnx.ModelProto, names: list[str], split: Split) -> list[np.ndarray[Any, Any]]:
    """Values inside a model on all images of a split."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    present = {value.name for value in probed.graph.output}
    probed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    runner = session(probed.SerializeToString())
    feed = runner.get_inputs()[0].name
    parts = [runner.run(names, {feed: split.x[k : k + 250]}) for k in range(0, len(split.y), 250)]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _proto(document: Document) -> onnx.ModelProto:
    return onnx.load(str(document.path))


def correlations(pairs: list[Pair]) -> str:
    """Markdown: per model and share kept, rank correlation and median ratio of predicted to measured."""
    body = ["| model | keep | groups | Spearman | median predicted / measured |", "|---|---|---|---|---|"]
    for model, keep in dict.fromkeys((p.model, p.keep) for p in pairs):
        some = [p for p in pairs if (p.model, p.keep) == (model, keep)]
        rank = spearmanr([p.predicted for p in some], [p.measured for p in some]).statistic
        ratio = np.median([p.predicted / max(p.measured, 1e-30) for p in some])
        body.append(f"| {model} | {keep:g} | {len(some)} | {rank:.2f} | {ratio:.2f} |")
    return "\n".join(body) + "\n"


if __name__ == "__main__":
    main()
