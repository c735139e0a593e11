"""Every method on the same ONNX files and the same test split, with the peers run for real.

    python tests/bench/harness/run.py --models A.onnx B_s1.onnx --methods all --keep .8 .6 .5 .2 \\
        --data TEST.npz --calibration 256.npz --out DIR

For every (model, method, share kept): the layers that families.toml names for the model are cut through the
public interface (`--scope all`: every unfrozen group), then top-1 accuracy on the data. Finished cells are in
DIR/cells.jsonl and are not made again; tables are written beside it at the end (see table.py). A method that
declines or a peer that is not installed is a cell with a reason.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import facts
import onnx
import ours
import peers
import table
from cells import Book, Cell, Outcome
from families import Subject, subject
from measure import Split, packed, right

import onnxdup
from onnxdup.errors import OnnxdupError
from onnxdup.graph import load

SCOPES = ("layers", "all")


@dataclass(frozen=True)
class Bench:
    """What all cells share. `images`: how many calibration images there are."""

    split: Split
    calibration: Path | None
    images: int
    runs: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the tables. Returns the number of cells made."""
    args = _parser().parse_args(arguments)
    images = len(Split.read(args.calibration).y) if args.calibration else 0
    bench = Bench(Split.read(args.data, args.limit), args.calibration, images, args.runs)
    book = Book(args.out)
    made = 0
    for path in args.models:
        what = subject(path)
        for cell in _cells(what, args, images):
            if cell.key in book.outcomes and not (args.retry and book.outcomes[cell.key].reason):
                continue
            outcome = measured(cell, what, bench)
            book.add(outcome)
            made += 1
            _say(outcome)
    table.write(args.out, list(book.outcomes.values()))
    return made


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--methods", nargs="+", default=["all"], help="names, `all`, `ours` or `peers`")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.8, 0.6, 0.5, 0.2])
    parser.add_argument("--data", type=Path, required=True, help=".npz with x and y")
    parser.add_argument("--limit", type=int, default=0, help="first so many test images; 0: all")
    parser.add_argument("--calibration", type=Path, help=".npz with x; methods run without and with it")
    parser.add_argument("--calibrated", nargs="+", help="methods that also run with images (default: all)")
    parser.add_argument("--scope", choices=SCOPES, default="layers")
    parser.add_argument("--runs", type=Path, help="folder of training runs, for torch-pruning")
    parser.add_argument("--retry", action="store_true", help="repeat cells that have no result")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def _cells(what: Subject, args: argparse.Namespace, images: int) -> Iterator[Cell]:
    base = (what.path.stem, what.row, what.seed, args.scope)
    yield Cell(*base, "base", 0, 1.0)
    for method in _methods(args.methods):
        for count in _images(method, images if method in (args.calibrated or [method]) else 0):
            for keep in args.keep:
                yield Cell(*base, method, count, keep)


def _methods(wanted: Sequence[str]) -> list[str]:
    known = {"all": [*ours.names(), *peers.PEERS], "ours": ours.names(), "peers": [*peers.PEERS]}
    found = [name for w in wanted for name in known.get(w, [w])]
    unknown = set(found) - set(known["all"])
    if unknown:
        sys.exit(f"unknown methods: {', '.join(sorted(unknown))}; choose of {', '.join(known['all'])}")
    return list(dict.fromkeys(found))


def _images(method: str, images: int) -> list[int]:
    """With how many calibration images a method runs."""
    if not images:
        return [0] if method not in peers.PEERS or not peers.PEERS[method].data_only else []
    if method in peers.PEERS:
        peer = peers.PEERS[method]
        return [images] if peer.data_only else [0, images] if peer.takes_data else [0]
    return [0, images] if ours.takes_data(method) else [0]


def measured(cell: Cell, what: Subject, bench: Bench) -> Outcome:
    """One cell; what declines or is absent is an outcome with a reason."""
    started = time.perf_counter()
    try:
        proto = _reduction(cell, what, bench)()
    except (OnnxdupError, peers.Absent) as error:
        return Outcome(cell, reason=" ".join(str(error).split()), **_stamp())
    cut = time.perf_counter() - started
    bits = right(proto.SerializeToString(), bench.split)
    return Outcome(
        cell,
        samples=len(bits),
        accuracy=float(bits.mean()),
        right=packed(bits),
        parameters=facts.parameters(proto),
        layers=facts.layers(onnx.load(what.path), proto, _include(cell, what)),
        cut=round(cut, 3),
        **_stamp(),
    )


def _include(cell: Cell, what: Subject) -> tuple[str, ...]:
    return what.include if cell.scope == "layers" else ()


def _reduction(cell: Cell, what: Subject, bench: Bench) -> Callable[[], onnx.ModelProto]:
    include = _include(cell, what)
    calibration = bench.calibration if cell.images else None
    if cell.method == "base":
        return lambda: onnx.load(what.path)
    if cell.method in peers.PEERS:
        job = peers.Job(what.path, cell.keep, include, calibration, bench.runs)
        return lambda: peers.PEERS[cell.method].cut(job)
    request = ours.Request(cell.method, cell.keep, include, calibration)
    return lambda: ours.reduced(load(what.path), request)


def _stamp() -> dict[str, str]:
    return {"date": datetime.date.today().isoformat(), "version": _version()}


@functools.cache
def _version() -> str:
    """Version, and the commit where the harness runs in a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{onnxdup.__version__} ({done.stdout.strip()})" if done.returncode == 0 else onnxdup.__version__


def _say(outcome: Outcome) -> None:
    cell = outcome.cell
    found = outcome.reason or f"{100 * (outcome.accuracy or 0):.2f} %, kept {outcome.kept:.3f}"
    what = f"{cell.model} {cell.method} ({cell.images} images) keep {cell.keep:g}"
    print(f"{what}: {found} [{outcome.cut:.1f} s]", flush=True)


if __name__ == "__main__":
    main()
