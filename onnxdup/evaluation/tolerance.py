"""How far the outputs of an exact merge may differ from the original's, through rounding alone.

An exact merge equals the original in the reals; in floating point it sums in another order. A dot product of
length n, computed in any order with unit roundoff u, is off by at most gamma_n |x|'|w|, gamma_n = n u / (1 -
n u) (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, eq. 3.5). Both models carry
that error, so they differ by 2 gamma_n |x|'|w| in one layer. A merge also adds rounded weights: up to
`exact_ulp` units in the last place of the row's maximum for a relation counted as exact, and one rounding per
stored sum, which lengthens n by 2·exact_ulp + 1. Through a path of L weight layers whose activations are
1-Lipschitz, first-order terms add: 2 L gamma_n, relative to the size of what is summed. That size is taken to
be the largest magnitude of the output, times `AMPLIFICATION` for cancellation (|x|'|w| exceeds |x'w|).

For long sums in half precision n u reaches 1 and gamma_n is void; the probabilistic bound of Higham and Mary
(SIAM J. Sci. Comput. 41 (2019) A2815) takes its place, gamma_n = exp(lambda sqrt(n) u + n u² / (1 - u)) - 1
with lambda = 8.

The bound is loose (errors rarely align), so it is the pass mark and not the expected error; the noise
measured between two correct ways of running the original says what to expect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxdup.evaluation.casting import family
from onnxdup.graph import Document, Node

AMPLIFICATION = 4.0
NOISE_MARGIN = 8.0
_LAMBDA = 8.0
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_STEPS = 16  # assumed length of a sequence: a recurrent layer is as many layers deep
_LARGEST_RELATIVE = 0.05


@dataclass(frozen=True)
class Tolerance:
    """`relative` error allowed, of an output's largest magnitude, and what it comes from.

    `fan_in` is the longest sum of a weight layer, `depth` the number of weight layers on the longest path,
    `unit_roundoff` that of the coarsest float weights.
    """

    relative: float
    fan_in: int
    depth: int
    unit_roundoff: float

    def absolute(self, scale: float, noise: float = 0.0) -> float:
        """Absolute error allowed in an output of largest magnitude `scale` and measured noise `noise`."""
        return max(self.relative * scale, NOISE_MARGIN * noise, float(np.finfo(np.float32).tiny))


def exact_tolerance(document: Document, exact_ulp: int = 4) -> Tolerance:
    """The tolerance of an exact merge of `document` (see the module's derivation)."""
    sums = sum_lengths(document)
    fan_in, depth, u = (
        max(sums.values(), default=0),
        weight_depth(document, sums),
        unit_roundoff(document, sums),
    )
    bound = 2 * max(depth, 1) * gamma(fan_in + 2 * exact_ulp + 1, u) * AMPLIFICATION
    return Tolerance(min(bound, _LARGEST_RELATIVE), fan_in, depth, u)


def sum_lengths(document: Document) -> dict[int, int]:
    """Node index -> length of the sums that a weight layer takes, for the nodes where it is known."""
    shapes = document.shapes()
    lengths = {node.index: _sum_length(node, shapes) for node in document.nodes}
    return {index: n for index, n in lengths.items() if n}


def gamma(n: int, u: float) -> float:
    """Higham's gamma_n, or its probabilistic form where n u >= 0.1."""
    if n * u < 0.1:
        return n * u / (1 - n * u)
    return math.expm1(min(_LAMBDA * math.sqrt(n) * u + n * u * u / (1 - u), 700.0))


def unit_roundoff(document: Document, sums: Mapping[int, int]) -> float:
    """Half the machine epsilon of the coarsest float type among the weights of layers (float32 without
    weights).
    """
    import ml_dtypes

    names = {name for index in sums for name in document.nodes[index].inputs}
    dtypes = {document.weights.info(n).dtype for n in names if n in document.weights}
    floats = [d for d in dtypes if family(d) == "float"] or [np.dtype(np.float32)]
    return max(float(ml_dtypes.finfo(d).eps) for d in floats) / 2  # type: ignore[no-untyped-call]


def weight_depth(document: Document, sums: Mapping[int, int]) -> int:
    """Weight layers on the longest path through the main graph; a recurrent layer counts as 16."""
    depth: dict[str, int] = {}
    for node in document.nodes:
        before = max((depth.get(name, 0) for name in (*node.inputs, *node.captured)), default=0)
        steps = _STEPS if node.op_type in _RECURRENT else 1
        here = before + (steps if node.index in sums else 0)
        depth.update((name, here) for name in node.outputs if name)
    return max(depth.values(), default=0)


def _sum_length(node: Node, shapes: Mapping[str, tuple[int | None, ...]]) -> int:
    def shape(slot: int) -> tuple[int, ...]:
        name = node.inputs[slot] if slot < len(node.inputs) else ""
        return tuple(d or 0 for d in shapes.get(name, ()))

    match node.op_type:
        case "LSTM" | "GRU" | "RNN":
            return sum(shape(slot)[-1] for slot in (1, 2) if shape(slot))
        case "Conv" | "FusedConv" if len(shape(1)) > 1:
            return math.prod(shape(1)[1:])
        case "ConvTranspose" if len(shape(1)) > 1:
            return shape(1)[0] * math.prod(shape(1)[2:]) // int(node.attrs.get("group", 1))
        case "Gemm" if len(shape(1)) == 2:
            return shape(1)[1 if node.attrs.get("transB", 0) else 0]
        case "MatMul":
            right = shape(1)[-2] if len(shape(1)) > 1 else 0
            return right or (shape(0)[-1] if shape(0) else 0)
    return 0
