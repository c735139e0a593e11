"""Fuzzes `report` and `merge`: python tests/fuzz/fuzz_models.py --count 20000 [--corpus FOLDER]...

Mutants are numbered; `--start N --count 1 -v` repeats one. They run in a child process with limited memory,
which is started again where a mutant kills it; the share `--verified` of them also runs in onnxruntime. The
exit code is 1 when anything broke; crashes are grouped by where they come from, and with `--keep FOLDER`
their models are kept.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from corpus import corpus
from harness import SECONDS, attempt, trace_of
from mutations import Mutant, Seed, mutant

BATCH = 100


def run_one(made: Mutant, verified: bool, seconds: float = SECONDS) -> tuple[str, str]:
    """('ok', outcome) or ('broken', where)."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=os.environ.get("FUZZ_TMP")) as folder:
        try:
            return "ok", attempt(made, Path(folder), verified=verified, seconds=seconds)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return "broken", trace_of(error)
        finally:
            tempfile.tempdir = None


def in_child(job: Callable[[int], None], memory: int) -> int:
    """Runs `job` on the writing end of a pipe in a forked child; returns its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        job(0)
        os._exit(0)
    except BaseException:
        os._exit(70)


def batch(numbers: Sequence[int], seeds: Sequence[Seed], log: Path, share: float, memory: int) -> None:
    """Runs some mutants in one child and appends a line for each to `log`."""

    def job(_: int) -> None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
        for number in numbers:
            with log.open("a") as file:
                file.write(json.dumps({"number": number, "state": "started"}) + "\n")
            made = mutant(number, seeds)
            began = time.monotonic()
            state, what = run_one(made, verified=(number * 2654435761 % 1000) < share * 1000)
            entry = {"number": number, "state": state, "what": what, "history": made.history}
            with log.open("a") as file:
                file.write(json.dumps({**entry, "seconds": round(time.monotonic() - began, 2)}) + "\n")

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    in_child(job, memory)


def read_log(log: Path) -> dict[int, dict]:
    """The last entry of each mutant."""
    if not log.exists():
        return {}
    return {e["number"]: e for e in map(json.loads, log.read_text().splitlines())}


def fuzz(
    start: int, count: int, seeds: Sequence[Seed], log: Path, share: float, memory: int
) -> dict[int, dict]:
    """Runs all mutants of a range; those that kill their process are 'killed'."""
    for first in range(start, start + count, BATCH):
        todo = list(range(first, min(first + BATCH, start + count)))
        while todo:
            batch(todo, seeds, log, share, memory)
            seen = read_log(log)
            for number in todo:
                if number in seen and seen[number]["state"] == "started":
                    entry = {"number": number, "state": "killed", "what": "the process died"}
                    entry["history"] = list(mutant(number, seeds).history)
                    with log.open("a") as file:
                        file.write(json.dumps(entry) + "\n")
            done = read_log(log).keys()
            rest = [n for n in todo if n not in done]
            if len(rest) == len(todo):
                raise SystemExit("the child makes no progress")
            todo = rest
    return read_log(log)


def summary(found: dict[int, dict]) -> int:
    """Prints what came of the mutants; returns the number of broken ones."""
    print(f"{len(found)} mutants")
    outcomes = collections.Counter(e["what"] for e in found.values() if e["state"] == "ok")
    for what, number in outcomes.most_common():
        print(f"{number:8d}  {what}")
    bad = [e for e in found.values() if e["state"] != "ok"]
    by_place: dict[str, list[dict]] = {}
    for entry in bad:
        place = entry["what"].partition(" @ ")[2] or entry["what"]
        by_place.setdefault(f"{entry['state']}: {place}", []).append(entry)
    for place, entries in sorted(by_place.items(), key=lambda p: -len(p[1])):
        first = entries[0]
        print(f"{len(entries):8d}  {place}")
        print(f"          e.g. {first['number']} {first['history']}: {first['what']}")
    slow = sorted((e for e in found.values() if e.get("seconds", 0) > 5), key=lambda e: -e["seconds"])
    for entry in slow[:5]:
        print(f"    slow  {entry['seconds']} s: {entry['number']} {entry['history']}")
    return len(bad)


def keep(found: dict[int, dict], seeds: Sequence[Seed], folder: Path) -> None:
    """Stores the models of broken mutants."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in [n for n, e in found.items() if e["state"] != "ok"]:
        made = mutant(number, seeds)
        (folder / f"{number}.onnx").write_bytes(made.model)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--corpus", type=Path, action="append", default=[])
    parser.add_argument("--verified", type=float, default=0.02)
    parser.add_argument("--memory", type=float, default=3.0, help="GB of address space")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    seeds = corpus(options.corpus)
    if options.v:
        for number in range(options.start, options.start + options.count):
            made = mutant(number, seeds)
            print(number, *made.history)
            with tempfile.TemporaryDirectory() as folder:
                print(attempt(made, Path(folder), verified=options.verified == 1))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="fuzz-log-"))
    log = options.log or folder / "log.jsonl"
    try:
        found = fuzz(options.start, options.count, seeds, log, options.verified, int(options.memory * 1e9))
    finally:
        shutil.rmtree(folder, ignore_errors=True) if options.log else None
    if options.keep:
        keep(found, seeds, options.keep)
    return 1 if summary(found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
