"""Which layer of one network corresponds to which of the other: by name, else by order, else by choice."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

import numpy as np

from onnxdup.channels import Layer
from onnxdup.channels.wiring import Wired
from onnxdup.errors import UsageError

How = Literal["name", "order", "choice"]
_NUMBERED = re.compile(r"(onnx::|val_|/|const|p2o\.)|\d+$|\w+_\d+$", re.IGNORECASE)
_TABLE, _DENSE, _CONV = "table", "dense", "convolution"
_NAMED = 1000


class Pair(NamedTuple):
    """Layers number `a` and `b` of the two networks belong together."""

    a: int
    b: int
    how: How


class Lone(NamedTuple):
    """Layer number `at` of network `side` (0 or 1) has no partner, because …"""

    side: int
    at: int
    reason: str


@dataclass(frozen=True)
class Form:
    """What two layers must have in common for their weights to be comparable: `blocks` are groups of a
    convolution or gates.

    `raw` inputs of the model must be equally many; of channels only the weights for each (`taps`) count.
    """

    kind: str
    kernel: tuple[int, ...]
    blocks: int
    raw: int
    taps: int

    def __str__(self) -> str:
        """In words, as `convolution 3x3 of channels`."""
        kernel = " " + "x".join(map(str, self.kernel)) if self.kernel else ""
        blocks = f" in {self.blocks} blocks" if self.blocks > 1 else ""
        reads = f"{self.raw} inputs" if self.raw else f"channels, {self.taps} weights each"
        return f"{self.kind}{kernel}{blocks} of {reads}"


def form_of(w: Wired) -> Form:
    """The form of a layer."""
    layer = w.layer
    kind = _kind(layer)
    kernel = tuple(layer.shape[2:]) if kind == _CONV else ()
    return Form(kind, kernel, layer.blocks, 0 if w.taps else layer.fan_in, w.taps)


def pair_layers(
    first: Sequence[Wired], second: Sequence[Wired], chosen: Sequence[str] = ()
) -> tuple[tuple[Pair, ...], tuple[Lone, ...]]:
    """Pairs in the order of the first network, and the layers without a partner with the reason.

    `chosen` are "a=b" of node or weight names. Then layers of equal name and form, and in the gaps between
    them those of equal form in the same order. UsageError for a choice that names no layer.
    """
    pairs = [_choice(text, first, second) for text in chosen]
    _refuse_twice(pairs, first, second)
    free = [
        [k for k in range(len(net)) if all(p[side] != k for p in pairs)]
        for side, net in enumerate((first, second))
    ]
    pairs += _in_order(first, second, *free)
    lone = [
        Lone(side, k, _why(net[k], {form_of(w) for w in other}))
        for side, (net, other) in enumerate(((first, second), (second, first)))
        for k in sorted(set(range(len(net))) - {int(p[side]) for p in pairs})
    ]
    return tuple(sorted(pairs)), tuple(lone)


def _kind(layer: Layer) -> str:
    if layer.op_type == "Gather":
        return _TABLE
    if "Conv" in layer.op_type:
        return _CONV
    return _DENSE if "MatMul" in layer.op_type or "Gemm" in layer.op_type else layer.op_type


def _choice(text: str, first: Sequence[Wired], second: Sequence[Wired]) -> Pair:
    """ "a=b" → pair; names may hold equal signs, so every one of them is tried."""
    cuts = [k for k, c in enumerate(text) if c == "="]
    for cut in cuts:
        a, b = _find(text[:cut], first), _find(text[cut + 1 :], second)
        if a is not None and b is not None:
            return Pair(a, b, "choice")
    if not cuts:
        raise UsageError(f"--layers {text} is not two names", remedy="write fc1.weight=dense.weight")
    left, _, right = text.partition("=")
    side, net = (left, first) if _find(left, first) is None else (right, second)
    raise UsageError(f"--layers {text}: no layer is called {side!r}", remedy=_near(side, net))


def _find(name: str, net: Sequence[Wired]) -> int | None:
    return next((k for k, w in enumerate(net) if name in (w.layer.tensor, w.layer.node)), None)


def _near(name: str, net: Sequence[Wired]) -> str:
    names = [n for w in net for n in (w.layer.tensor, w.layer.node)]
    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else "onnxdup report lists the names"


def _refuse_twice(pairs: Sequence[Pair], first: Sequence[Wired], second: Sequence[Wired]) -> None:
    for side, net in enumerate((first, second)):
        taken = [int(p[side]) for p in pairs]
        twice = next((k for k in taken if taken.count(k) > 1), None)
        if twice is not None:
            raise UsageError(f"--layers names {net[twice].layer.tensor} twice", remedy="pair it once")


def _in_order(
    first: Sequence[Wired], second: Sequence[Wired], left: Sequence[int], right: Sequence[int]
) -> list[Pair]:
    """The common subsequence of largest worth: names count most, then equal widths."""
    forms = [[form_of(w) for w in net] for net in (first, second)]
    worth = np.zeros((len(left), len(right)), np.int64)
    for r, a in enumerate(left):
        for c, b in enumerate(right):
            if forms[0][a] == forms[1][b]:
                same = first[a].layer.filters == second[b].layer.filters
                worth[r, c] = _NAMED * _same_name(first[a].layer, second[b].layer) + 1 + same
    return [
        Pair(left[r], right[c], "name" if worth[r, c] >= _NAMED else "order") for r, c in _heaviest(worth)
    ]


def _same_name(a: Layer, b: Layer) -> bool:
    """Equal names that someone gave; exporters' numbers mean a place, not an identity."""
    return (a.tensor == b.tensor and not _NUMBERED.match(a.tensor)) or (
        a.node == b.node and not _NUMBERED.match(a.node)
    )


def _heaviest(worth: np.ndarray) -> list[tuple[int, int]]:
    """Ascending (row, column) pairs of positive worth with the largest sum."""
    rows, columns = worth.shape
    best = np.zeros((rows + 1, columns + 1), np.int64)
    for r in range(rows):
        for c in range(columns):
            taken = best[r, c] + worth[r, c] if worth[r, c] else 0
            best[r + 1, c + 1] = max(best[r, c + 1], best[r + 1, c], taken)
    path, r, c = [], rows, columns
    while r and c:
        if best[r, c] == best[r - 1, c]:
            r -= 1
        elif best[r, c] == best[r, c - 1]:
            c -= 1
        else:
            r, c = r - 1, c - 1
            path.append((r, c))
    return path[::-1]


def _why(w: Wired, there: Collection[Form]) -> str:
    form = form_of(w)
    if form in there:
        return "the layers of its form there belong to others"
    return f"no {form} there"
