"""Nets with planted relations among more than two units, by the definition, built without onnxdup.

`Net` is ONNX text with its weights; `dependent` and `opposite` make rows of which some are combinations of
others, `nudged` moves one entry of a row so that it no longer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from laws.bench import serialise
from laws.oracle import relative_error, run_reference, run_runtime
from onnx import numpy_helper, parser

from onnxdup.graph import load
from onnxdup.reduce import Reduction, merge

INPUTS, OUTPUTS = 12, 5


@dataclass(frozen=True)
class Net:
    """x -> body -> y with the weights of the body; `shape` is that of x without the batch.

    Weights in float64 become those of the net's type, others stay.
    """

    body: str
    weights: Mapping[str, np.ndarray]
    shape: tuple[int, ...] = (INPUTS,)
    out: tuple[int, ...] = (OUTPUTS,)
    opset: int = 20
    wide: bool = False
    feed: Mapping[str, np.ndarray] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        """The checked model."""
        kind, dtype = ("double", np.float64) if self.wide else ("float", np.float32)
        sizes = ",".join(map(str, ("N", *self.shape)))
        outs = ",".join(map(str, ("N", *self.out)))
        head = f'<ir_version: 9, opset_import: ["": {self.opset}]>\n'
        model = parser.parse_model(f"{head}g ({kind}[{sizes}] x) => ({kind}[{outs}] y) {{ {self.body} }}")
        for name, array in self.weights.items():
            whole = array.dtype.kind == "i" or array.dtype == np.float32
            model.graph.initializer.append(
                numpy_helper.from_array(array if whole else array.astype(dtype), name)
            )
        for index, node in enumerate(model.graph.node):
            node.name = f"{node.op_type}_{index}"
        onnx.checker.check_model(model, full_check=True)
        return model

    def reduced(self) -> tuple[Reduction, float]:
        """The exact pass, and the relative error of the outputs."""
        model = self.model()
        found = merge(load(model), 1.0)
        small = onnx.ModelProto.FromString(serialise(found.document))
        x = {"x": np.random.default_rng(7).normal(size=(9, *self.shape))}
        x = {k: v.astype(np.float64 if self.wide else np.float32) for k, v in x.items()}
        run = run_reference if self.wide else run_runtime
        return found, relative_error(run(model, x), run(small, x))

    def with_weight(self, name: str, array: np.ndarray) -> Net:
        """The same net with one other weight."""
        return replace(self, weights={**self.weights, name: array})


def mlp(
    activation: str, rows: np.ndarray, rng: np.random.Generator, *, bias: bool = True, **options: object
) -> Net:
    """Gemm(w1, b1), the activation (of a, defining r), Gemm(w2, b2); the last column of `rows` is b1."""
    n = len(rows)
    w = {
        "w1": rows[:, :-1],
        "b1": rows[:, -1],
        "w2": rng.normal(size=(OUTPUTS, n)),
        "b2": rng.normal(size=OUTPUTS),
    }
    body = f"a=Gemm<transB=1>(x,w1,b1) {activation} y=Gemm<transB=1>(r,w2{',b2' if bias else ''})"
    if not bias:
        del w["b2"]
    return Net(body, w, **options)  # type: ignore[arg-type]


def dependent(rng: np.random.Generator, n: int, rank: int, width: int = INPUTS + 1) -> np.ndarray:
    """n rows of that rank, in random order; the first `rank` of that order are independent."""
    free = rng.normal(size=(rank, width))
    mixture = rng.uniform(0.3, 1.0, size=(n - rank, rank)) * rng.choice([-1, 1], size=(n - rank, rank))
    return np.concatenate([free, mixture @ free])[rng.permutation(n)]


def opposite(
    rng: np.random.Generator,
    pairs: int,
    rank: int,
    single: int = 3,
    *,
    scaled: bool = False,
    width: int = INPUTS + 1,
) -> np.ndarray:
    """Rows of `pairs` opposite pairs whose directions have that rank, beside single ones, in random order."""
    plus = dependent(rng, pairs, rank, width)
    size = np.exp(rng.uniform(-1, 1, size=(pairs, 1))) if scaled else 1.0
    rows = np.concatenate([plus, -size * plus, rng.normal(size=(single, width))])
    return rows[rng.permutation(len(rows))]


def nudged(rows: np.ndarray, place: tuple[int, int], share: float) -> np.ndarray:
    """One entry moved by a share of itself."""
    out = rows.copy()
    out[place] *= 1 + share
    return out
