"""Table of the paper's reduction: components at each tau, accuracy of paper, cluster and norm at equal width.

    python tests/bench/paper_reduction.py MODEL.onnx --data TEST.npz --include 'fc1*'

Every row gives all methods the number of filters that the paper's components leave at tau. The accuracy is
top-1 on the data, through onnxruntime on the CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from onnxdup.evaluation import evaluate, load_data
from onnxdup.graph import load, write
from onnxdup.reduce import Reduction, merge

TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)
METHODS = ("paper", "cluster", "norm", "obs")


def accuracy(reduction: Reduction, data: str) -> float:
    """Top-1 accuracy in per cent."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write(reduction.document, path)
        document = load(path)
        result = evaluate(document, load_data(data, document), provider="cpu", timed=False)
    assert result.accuracy is not None
    return 100 * result.accuracy.top1


def width(reduction: Reduction, group: str) -> int:
    """Channels that are left of the first group."""
    return reduction.after.group(group).size


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--include", default="fc1*")
    parser.add_argument("--tau", type=float, action="append")
    args = parser.parse_args()
    document = load(args.model)
    base = merge(document, 1.0, "exact", include=["*"])
    group = next(
        g for g in base.before.groups if any(args.include.rstrip("*") in b.tensor for b in g.bindings)
    )
    print(
        f"{Path(args.model).name}: {group.name}, {group.size} filters, base {accuracy(base, args.data):.2f} %"
    )
    print("| tau | #CC | paper | cluster | norm | obs |\n|---|---|---|---|---|---|")
    for tau in args.tau or TAUS:
        reductions = [merge(document, tau, "paper", include=[args.include])]
        count = width(reductions[0], group.name)
        share = count / group.size
        reductions += [
            merge(document, min(tau, 0.999), m, keep=share, include=[args.include]) for m in METHODS[1:]
        ]
        cells = [f"{accuracy(r, args.data):.2f}" for r in reductions]
        assert all(width(r, group.name) == count for r in reductions), [
            width(r, group.name) for r in reductions
        ]
        print(f"| {tau:g} | {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
