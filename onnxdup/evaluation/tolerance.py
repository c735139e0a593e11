"""How far the outputs of an exact merge may differ from the original's, through rounding alone.

An exact merge equals the original in the reals; in floating point it sums in another order. A dot product of
length n, computed in any order with unit roundoff u, is off by at most gamma_n |x|'|w|, where gamma_n = n u /
(1 - n u) (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, eq. 3.5). A merge also
stores rounded weights: off by up to `exact_ulp` units in the last place (2 u each) where a relation counts as
exact, and once more per stored sum, as if n were longer by 2 exact_ulp + 1. Errors of consecutive layers
compound as (1 + gamma_j)(1 + gamma_k) <= 1 + gamma_(j+k) (Higham, lemma 3.3), so a path through the network
is as bad as one sum of length N, the sum of its layers' lengths. Both models carry that error: they differ by
at most 2 gamma_N, relative to the size of what is summed, for which the largest magnitude of the output
stands.

That stand-in is the weak point: where terms cancel or an activation flattens (a sigmoid near 0), errors are
relative to something larger. Rounding errors seldom align, though (they grow like the root of N), which
leaves a margin of about that root; and the noise measured between two correct ways of running the original,
times `NOISE_MARGIN`, is allowed in any case.

For long sums in half precision N u reaches 1 and gamma is void; the probabilistic bound of Higham and Mary
(SIAM J. Sci. Comput. 41 (2019) A2815) takes its place: exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1 with
lambda = 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxdup.evaluation.casting import family
from onnxdup.graph import Document, Node

NOISE_MARGIN = 8.0
_LAMBDA = 8.0
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_STEPS = 16  # assumed length of a sequence: a recurrent layer is as many layers deep
_LARGEST_RELATIVE = 0.05


@dataclass(frozen=True)
class Tolerance:
    """Relative error allowed, of the largest magnitude of an output, and what it comes from.

    `fan_in` is the longest sum of a weight layer, `depth` the number of weight layers on the longest path,
    `path_sum` the N of the derivation, `unit_roundoff` that of the coarsest float weights.
    """

    relative: float
    fan_in: int
    depth: int
    path_sum: int
    unit_roundoff: float

    def absolute(self, scale: float, noise: float = 0.0) -> float:
        """Absolute error allowed in an output of largest magnitude `scale` and measured noise `noise`."""
        return max(self.relative * scale, NOISE_MARGIN * noise, float(np.finfo(np.float32).tiny))


def exact_tolerance(document: Document, exact_ulp: int = 4) -> Tolerance:
    """The tolerance of an exact merge of `document` (see the module's derivation)."""
    sums = sum_lengths(document)
    depth = longest_path(document, dict.fromkeys(sums, 1))
    path_sum = longest_path(document, {index: n + 2 * exact_ulp + 1 for index, n in sums.items()})
    u = unit_roundoff(document, sums)
    bound = 2 * gamma(max(path_sum, 1), u)
    return Tolerance(min(bound, _LARGEST_RELATIVE), max(sums.values(), default=0), depth, path_sum, u)


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


def longest_path(document: Document, lengths: Mapping[int, int]) -> int:
    """The largest sum of `lengths` (by node index) along a path of the main graph; recurrent nodes count
    16-fold.
    """
    reached: dict[str, int] = {}
    for node in document.nodes:
        before = max((reached.get(name, 0) for name in (*node.inputs, *node.captured)), default=0)
        steps = _STEPS if node.op_type in _RECURRENT else 1
        here = before + steps * lengths.get(node.index, 0)
        reached.update((name, here) for name in node.outputs if name)
    return max(reached.values(), default=0)


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
