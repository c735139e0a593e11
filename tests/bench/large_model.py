"""Large models against the limit of the machine: python tests/bench/large_model.py --gb 6 --folder /tmp/large

Synthesises transformer-like models with external data, written tensor by tensor: N blocks of LayerNorm, an
FFN 4096 -> 14336 -> 4096 (SwiGLU and Relu in turn) and a residual, with planted exact duplicates. Then it
measures `onnxdup report` and `onnxdup merge` as processes, and beside them the limit in the same run: read
the weights once, one float32 Gram matrix per layer with numpy, and for `merge` write everything once.

Memory is the peak resident set. Weights are mapped from their files, so most of it is page cache that the
system takes back when it needs to; `anonymous` is what it cannot. Verification runs both models in
onnxruntime, which maps them as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

ALIGN = 4096
PLANTED = 8
"""Hidden units per block that are exact copies of others."""


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds and peak resident memory (bytes) of one process."""

    seconds: float
    cpu: float
    peak: int
    code: int = 0
    anonymous: int = 0


class Writer:
    """A model with one data file, written tensor by tensor."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.nodes, self.tensors = path, [], []
        self.data = path.with_name(f"{path.name}.data").open("wb")
        self.rng = np.random.default_rng(seed)
        self.planted = 0

    def tensor(self, name: str, array: np.ndarray) -> str:
        self.data.write(b"\0" * (-self.data.tell() % ALIGN))
        entry = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape)
        entry.data_location = TensorProto.EXTERNAL
        place = {"location": f"{self.path.name}.data", "offset": self.data.tell(), "length": array.nbytes}
        for key, value in place.items():
            entry.external_data.add(key=key, value=str(value))
        array.tofile(self.data)
        self.tensors.append(entry)
        return name

    def normal(self, rows: int, columns: int) -> np.ndarray:
        return self.rng.standard_normal((rows, columns), np.float32) / np.float32(rows) ** 0.5

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def finish(self, x: str, y: str, width: int) -> None:
        self.data.close()
        shape = ["tokens", width]
        values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in (x, y)]
        graph = helper.make_graph(self.nodes, "large", values[:1], values[1:], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        self.path.write_bytes(model.SerializeToString())


def transformer(path: Path, blocks: int, width: int, hidden: int, seed: int = 0) -> int:
    """Writes the model; returns how many duplicates were planted."""
    w = Writer(path, seed)
    value = "x"
    for k in range(blocks):
        value = _block(w, f"b{k}", value, width, hidden, gated=k % 2 == 0)
    w.node("Identity", [value], "y")
    w.finish("x", "y", width)
    return w.planted


def _block(w: Writer, name: str, x: str, width: int, hidden: int, *, gated: bool) -> str:
    copies = w.rng.choice(hidden, 2 * PLANTED, replace=False).reshape(2, -1)
    w.planted += PLANTED
    scale, shift = np.ones(width, np.float32), np.zeros(width, np.float32)
    norm = [x, w.tensor(f"{name}.norm", scale), w.tensor(f"{name}.shift", shift)]
    normed = w.node("LayerNormalization", norm, f"{name}.normed", axis=-1)

    def up(suffix: str) -> str:
        weight = w.normal(width, hidden)
        weight[:, copies[1]] = weight[:, copies[0]]
        return w.node("MatMul", [normed, w.tensor(f"{name}.{suffix}.weight", weight)], f"{name}.{suffix}")

    gate = up("gate")
    if gated:
        sigmoid = w.node("Sigmoid", [gate], f"{name}.sigmoid")
        swish = w.node("Mul", [gate, sigmoid], f"{name}.swish")
        active = w.node("Mul", [swish, up("up")], f"{name}.active")
    else:
        active = w.node("Relu", [gate], f"{name}.active")
    down = w.tensor(f"{name}.down.weight", w.normal(hidden, width))
    out = w.node("MatMul", [active, down], f"{name}.down")
    return w.node("Add", [x, out], f"{name}.out")


# -- the limit


def weights(path: Path) -> Iterator[np.ndarray]:
    """Every matrix of a model written here, mapped; the output axis last."""
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        entry = {e.key: e.value for e in tensor.external_data}
        if len(tensor.dims) == 2:
            file = path.with_name(entry["location"])
            yield np.memmap(file, np.float32, "r", int(entry["offset"]), tuple(tensor.dims))


def gram(path: Path, tile: int = 4096) -> None:
    """Reads every layer once and takes its float32 Gram matrix, upper triangle, tile by tile."""
    checked = 0.0
    for weight in weights(path):
        rows = np.ascontiguousarray(weight.T)
        for start in range(0, len(rows), tile):
            for other in range(start, len(rows), tile):
                checked += float((rows[start : start + tile] @ rows[other : other + tile].T)[0, 0])
    print(checked)


def duplicate(path: Path, target: Path) -> None:
    """Copies the data file, to the disk."""
    with path.with_name(f"{path.name}.data").open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(1 << 24):
            copy.write(chunk)
        os.fsync(copy.fileno())


# -- measuring


def measured(command: list[str], log: Path | None = None) -> Measured:
    """Runs a command to its end. `anonymous`: its largest memory that is no mapped file (sampled)."""
    began = time.perf_counter()
    with (log or Path(os.devnull)).open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        anonymous = _watch(process)
        _, status, usage = os.wait4(process.pid, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(time.perf_counter() - began, cpu, peak, os.waitstatus_to_exitcode(status), anonymous)


def _watch(process: subprocess.Popen) -> int:
    largest, status = 0, Path(f"/proc/{process.pid}/status")
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if status.exists():
            lines = dict(x.split(":", 1) for x in status.read_text().splitlines() if ":" in x)
            largest = max(largest, 1024 * int(lines.get("RssAnon", "0").split()[0]))
        time.sleep(0.05)
    return largest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gb", type=float, default=0.5, help="size of the model")
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--hidden", type=int, default=14336)
    parser.add_argument("--folder", type=Path, required=True, help="for the model and the output")
    parser.add_argument("--only", choices=(*STEPS,), action="append", help="default: all")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    blocks = max(1, round(options.gb * 1e9 / (2.5 * 4 * options.width * options.hidden)))
    path = options.folder / f"ffn-{blocks}x{options.width}x{options.hidden}.onnx"
    output = options.folder / "merged.onnx"
    copy = output.with_name("copy")
    if options.run:
        gram(path) if options.run == "gram" else duplicate(path, copy)
        return 0
    if not path.exists():
        began = time.perf_counter()
        planted = transformer(path, blocks, options.width, options.hidden)
        print(f"made {path.name} with {planted} planted duplicates in {time.perf_counter() - began:.0f} s")
    size = path.with_name(f"{path.name}.data").stat().st_size
    again = [sys.executable, *sys.argv, "--run"]
    tool = [sys.executable, "-m", "onnxdup"]
    commands = {
        "gram": [*again, "gram"],
        "write": [*again, "write"],
        "report": [*tool, "report", str(path), "--json"],
        "merge": [*tool, "merge", str(path), "-o", str(output), "--json", "--provider", "cpu"],
    }
    print(f"{path.name}: {size / 1e9:.2f} GB of weights")
    print(f"{'':38s}   wall s    cpu s   peak RSS   anonymous")
    for name in options.only or STEPS:
        log = options.folder / f"{name}.log"
        found = measured(commands[name], log)
        memory = f"{found.peak / 1e6:7.0f} MB  {found.anonymous / 1e6:7.0f} MB"
        failed = f"   exit code {found.code}" if found.code else ""
        print(f"{STEPS[name]:38s} {found.seconds:8.1f} {found.cpu:8.1f} {memory}{failed}", flush=True)
        _outcome(name, log)
    for left in (copy, output, output.with_name(f"{output.name}.data"), Path(f"{output}.ledger.json")):
        left.unlink(missing_ok=True)
    return 0


STEPS = {
    "gram": "limit: read once, float32 Gram",
    "write": "limit: read once, write once",
    "report": "onnxdup report",
    "merge": "onnxdup merge --tau 1, verified",
}


def _outcome(name: str, log: Path) -> None:
    """What a command found, so that a fast wrong answer is seen."""
    if name in ("report", "merge"):
        text = log.read_text()
        found = json.loads(text[text.index("{") :])
        what = found["models"][0]["totals"]["taus"][0]["removable"] if name == "report" else found["plan"]
        print(f"  {'removable at tau 1' if name == 'report' else 'plan'}: {what}")


if __name__ == "__main__":
    raise SystemExit(main())
