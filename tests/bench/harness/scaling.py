"""Time and peak memory of a cut of a ResNet-50-sized random net, over its width.

    python tests/bench/harness/scaling.py --method obs --keep .7 --widths .25 .5 1 --out DIR

Every width is a process of its own (`--command merge`: `onnxdup.merge` in the process; `shrink`: the command
line), on `--threads` threads. DIR/scaling.csv gets wall and CPU seconds and the peak resident memory,
DIR/scaling.svg the plot, where matplotlib is installed. `--profile` says which functions took longest.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from math import prod
from pathlib import Path
from typing import Any

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Measure each width, write the table and the plot."""
    args = _parser().parse_args()
    if args.one is not None:
        print(json.dumps(_measured(args.one, args)))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for width in args.widths:
        rows.append(_isolated(width, args))
        print(" ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    rows.sort(key=lambda row: float(row["width"]))
    with (args.out / f"{args.name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    plot(rows, args.out / f"{args.name}.svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--command", choices=("merge", "shrink"), default="merge")
    parser.add_argument("--method", default="obs")
    parser.add_argument("--keep", type=float, default=0.7)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.25, 0.5, 0.75, 1.0])
    parser.add_argument(
        "--size", type=int, default=64, help="side of the images; the weights do not depend on it"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--name", default="scaling")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    return parser


def _isolated(width: float, args: argparse.Namespace) -> dict[str, Any]:
    environment = os.environ | dict.fromkeys(VARIABLES, str(args.threads))
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--one", str(width)],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _measured(width: float, args: argparse.Namespace) -> dict[str, Any]:
    from random_net import resnet50

    path = args.out / f"resnet50_{width:g}.onnx"
    model = resnet50(width, args.size)
    path.write_bytes(model.SerializeToString())
    count = sum(prod(t.dims) for t in model.graph.initializer)
    del model
    before = _usage()
    started, kept = time.perf_counter(), _cut(path, args)
    wall = time.perf_counter() - started
    used = _usage()
    return {
        "width": width,
        "parameters": count,
        "left": kept,
        "wall_s": round(wall, 2),
        "cpu_s": round(used[0] - before[0], 2),
        "peak_mb": round(used[1]),
        "peak_before_mb": round(before[1]),
    }


def _usage() -> tuple[float, float]:
    """(CPU seconds, peak resident MB) of this process and its finished children."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both), max(u.ru_maxrss for u in both) / 1024


def _cut(path: Path, args: argparse.Namespace) -> int:
    """Cut the file; returns the number of parameters that are left."""
    import onnx

    result = path.with_suffix(".cut.onnx")
    if args.command == "shrink":
        command = [
            sys.executable,
            "-m",
            "onnxdup",
            "shrink",
            str(path),
            "--keep",
            str(args.keep),
            "-o",
            str(result),
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
    elif args.profile:
        _profiled(path, result, args)
    else:
        _merge(path, result, args)
    return sum(prod(t.dims) for t in onnx.load(result).graph.initializer)


def _merge(path: Path, result: Path, args: argparse.Namespace) -> None:
    import onnxdup

    onnxdup.merge(path, method=args.method, tau=0.5, keep=args.keep).save(result)


def _profiled(path: Path, result: Path, args: argparse.Namespace) -> None:
    import cProfile
    import pstats

    profile = cProfile.Profile()
    profile.runcall(_merge, path, result, args)
    stats = pstats.Stats(profile, stream=sys.stderr)
    stats.sort_stats("tottime").print_stats(15)
    stats.sort_stats("cumtime").print_stats("onnxdup", 40)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds and memory over parameters; nothing where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("matplotlib is not installed: no plot", file=sys.stderr)
        return
    figure = Figure(figsize=(7, 3), layout="constrained")
    time_axis, memory_axis = figure.subplots(1, 2)
    millions = [row["parameters"] / 1e6 for row in rows]
    time_axis.plot(millions, [row["wall_s"] for row in rows], "o-", label="wall")
    time_axis.plot(millions, [row["cpu_s"] for row in rows], "s--", label="CPU")
    time_axis.set(xlabel="parameters (millions)", ylabel="seconds", ylim=(0, None))
    time_axis.legend()
    memory_axis.plot(millions, [row["peak_mb"] for row in rows], "o-")
    memory_axis.set(xlabel="parameters (millions)", ylabel="peak resident MB", ylim=(0, None))
    figure.savefig(path)


if __name__ == "__main__":
    main()
