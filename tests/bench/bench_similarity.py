"""Similarity of whole layers against one float32 Gram product of the same layer.

    python tests/bench/bench_similarity.py [--quick]

Every row of the table is measured in a process of its own, so peak memory is that of the one call (with the
interpreter, numpy and scipy: about 80 MiB). The reference is `rows @ rows.T` in float32, in strips of rows
where the whole product would not fit 1 GiB. Ratios are of wall time and of processor time; on a busy machine
believe the latter.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from onnxdup import similarity

SHAPES = ((500, 3072), (4096, 1024), (16384, 256), (60000, 200))
TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)
STRIP = 1 << 28


def layer(count: int, width: int, kind: str) -> np.ndarray:
    """Float32 rows: 'tenth' plants scaled duplicates of a tenth, 'groups' ten bundles, 'copies' one."""
    rng = np.random.default_rng(count)
    if kind == "copies":
        return np.outer(rng.uniform(0.5, 2, count), rng.standard_normal(width)).astype(np.float32)
    rows = rng.standard_normal((count, width), np.float32)
    if kind == "groups":
        rows = rows[rng.integers(0, 10, count)] + 0.05 * rows
    planted = rng.choice(count, (2, count // 10), replace=False)
    rows[planted[0]] = rows[planted[1]] * rng.uniform(0.5, 2, (count // 10, 1)).astype(np.float32)
    return rows


def gram(rows: np.ndarray) -> None:
    """The reference: every product of two rows, once."""
    if len(rows) ** 2 <= STRIP:
        rows @ rows.T
        return
    step = STRIP // 4 // len(rows)
    for start in range(0, len(rows), step):
        rows[start : start + step] @ rows.T


CALLS: dict[str, tuple[str, Callable[[np.ndarray], Any]]] = {
    "gram": ("tenth", gram),
    "edges .9": ("tenth", lambda rows: similarity.similarity_edges(rows, 0.9)),
    "components x5": ("tenth", lambda rows: similarity.similarity_components(rows, TAUS)),
    "survey": ("tenth", lambda rows: similarity.survey(rows, TAUS)),
    "linkage .9": ("tenth", lambda rows: similarity.complete_linkage(rows, 0.9)),
    "spectrum": ("tenth", similarity.spectrum),
    "components, 10 groups": ("groups", lambda rows: similarity.similarity_components(rows, TAUS)),
    "components, all parallel": ("copies", lambda rows: similarity.similarity_components(rows, TAUS)),
    "linkage, all parallel": (
        "copies",
        lambda rows: similarity.complete_linkage(rows, 1.0, dense_limit=5000),
    ),
}


def measure(shape: tuple[int, int], name: str, repeats: int) -> tuple[float, float, float]:
    """Least wall seconds and processor seconds of a call, and peak MiB of its process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (shape, name, repeats))


def _measure(shape: tuple[int, int], name: str, repeats: int) -> tuple[float, float, float]:
    kind, call = CALLS[name]
    rows = layer(*shape, kind)
    times = [_time(call, rows) for _ in range(repeats)]
    wall, processor = (min(column) for column in zip(*times, strict=True))
    return wall, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _time(call: Callable[[np.ndarray], Any], rows: np.ndarray) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    call(rows)
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the layer of 60 000 filters")
    shapes = SHAPES[:-1] if parser.parse_args().quick else SHAPES
    print(
        f"{'filters':>12} {'call':26} {'wall s':>8} {'cpu s':>8} {'x wall':>7} {'x cpu':>7} {'peak MiB':>9}"
    )
    for shape in shapes:
        repeats = 5 if shape[0] < 10_000 else 1
        base = measure(shape, "gram", repeats)
        for name in CALLS:
            wall, processor, peak = base if name == "gram" else measure(shape, name, repeats)
            ratios = f"{wall / base[0]:7.2f} {processor / base[1]:7.2f}"
            print(
                f"{shape[0]:>6}x{shape[1]:<5} {name:26} {wall:8.3f} {processor:8.3f} {ratios} {peak:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
