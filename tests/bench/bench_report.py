"""`onnxdup report` against the least it could cost: reading the file and one float32 Gram product per layer.

python tests/bench/bench_report.py

Every row is a process of its own. `ratio` is (report - start-up) / (reading + Gram products), where start-up
is a report on a model of one filter. Wall time needs an idle machine; processor time is nearly independent of
others. Goals: ratio 1.5 on the 100 MB model, memory 1.5 x the model + 300 MB, and 1 GB for 60 000 x 200
filters.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
CASES: dict[str, tuple[tuple[int, ...], float]] = {
    "start-up": ((2, 2, 2), 0.0),
    "100 MB, no duplicates": ((3072, 4096, 2048, 2048, 10), 0.0),
    "100 MB, a tenth planted": ((3072, 4096, 2048, 2048, 10), 0.1),
    "60 000 x 200": ((200, 60000, 10), 0.1),
}
GRAM = """
import sys, numpy as np
for name in sys.argv[2:]:
    count, width = map(int, name.split("x"))
    offset = int(open(sys.argv[1] + "." + name).read())
    rows = np.fromfile(sys.argv[1], np.float32, count * width, offset=offset).reshape(count, width)
    step = max(1, (1 << 26) // count)
    for start in range(0, count, step):
        rows[start : start + step] @ rows.T
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and processor time, and peak memory in MB, of a process."""

    wall: float
    cpu: float
    peak: float


def mlp(widths: Sequence[int], planted: float) -> onnx.ModelProto:
    """A random MLP with small biases; a share of the filters of each hidden layer are scaled copies."""
    rng = np.random.default_rng(0)
    nodes, tensors, name = [], [], "x"
    for index, (width, count) in enumerate(pairwise(widths)):
        rows = rng.standard_normal((count, width), np.float32) / np.float32(np.sqrt(width))
        bias = rng.standard_normal(count, np.float32) * np.float32(0.05)
        copies = int(planted * count)
        if copies and index < len(widths) - 2:
            scale = rng.uniform(0.5, 2, copies).astype(np.float32)
            rows[-copies:], bias[-copies:] = rows[:copies] * scale[:, None], bias[:copies] * scale
        tensors += [numpy_helper.from_array(rows, f"w{index}"), numpy_helper.from_array(bias, f"b{index}")]
        nodes.append(helper.make_node("Gemm", [name, f"w{index}", f"b{index}"], [f"z{index}"], transB=1))
        nodes.append(helper.make_node("Relu", [f"z{index}"], [f"h{index}"]))
        name = f"h{index}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", widths[0]])
    y = helper.make_tensor_value_info(f"z{len(widths) - 2}", TensorProto.FLOAT, ["N", widths[-1]])
    graph = helper.make_graph(nodes[:-1], "mlp", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def spend(command: list[str], threads: int) -> Cost:
    """Runs a command on a number of BLAS threads and measures it."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    env = {**os.environ, "PYTHONPATH": str(ROOT), **limits}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def least(path: Path, model: onnx.ModelProto, threads: int) -> Cost:
    """Reading every weight and one Gram product per layer, without the start of Python and numpy."""
    content = path.read_bytes()
    names = []
    for tensor in (t for t in model.graph.initializer if len(t.dims) == 2):
        names.append(f"{tensor.dims[0]}x{tensor.dims[1]}")
        Path(f"{path}.{names[-1]}").write_text(str(content.index(tensor.raw_data[:4096])))
    empty, full = spend(["-c", "import numpy"], threads), spend(["-c", GRAM, str(path), *names], threads)
    return Cost(full.wall - empty.wall, full.cpu - empty.cpu, full.peak)


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    print("| model | MB | report wall s | cpu s | peak MB | least wall s | cpu s | ratio wall | ratio cpu |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        start = Cost(0, 0, 0)
        for name, (widths, planted) in CASES.items():
            path = Path(folder) / "model.onnx"
            model = mlp(widths, planted)
            path.write_bytes(model.SerializeToString())
            found = spend(["-m", "onnxdup", "report", str(path), "-q"], threads)
            floor = least(path, model, threads)
            if name == "start-up":
                start = found
            wall = (found.wall - start.wall) / max(floor.wall, 1e-9)
            cpu = (found.cpu - start.cpu) / max(floor.cpu, 1e-9)
            print(
                f"| {name} | {path.stat().st_size / 1e6:.0f} | {found.wall:.2f} | {found.cpu:.2f} "
                f"| {found.peak:.0f} | {floor.wall:.2f} | {floor.cpu:.2f} | {wall:.2f} | {cpu:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
