"""Constant operands: weights wherever they are, with the way back to the tensor that stores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdup.channels.bounds import MALFORMED, elements, is_sound, largest_constant
from onnxdup.channels.evaluate import EVALUATE, named_axes, permutation
from onnxdup.channels.ids import Shape
from onnxdup.channels.quantised import CODES, Quantised, quantisation
from onnxdup.graph import Document, Node

Numeric = npt.NDArray[np.generic]
MAX_CHAIN = 64
REPLACEABLE = "it is also a graph input, which callers may replace (--constant-inputs forbids it)"
MAX_READS = 1024
"""Nodes evaluated to read one constant; shared operands count as often as they are read."""


@dataclass(frozen=True)
class Constant:
    """A constant that an operator reads.

    `root` is the initializer or Constant node that stores it, `chain` the nodes in between (first to last),
    `axes[k]` the axis of the root that axis k became (None: no single one). Where `axes` is None an edit
    replaces the last node of the chain by a tensor. `problem` says why it must not be edited; `dtype` is the
    type of the root, float64 where it is quantised: rows of codes are equal or not, there is no rounding.
    `pinned`: subgraphs or functions read it too, so that all its readers keep one and the same tensor.
    """

    name: str
    root: str
    shape: Shape
    axes: tuple[int | None, ...] | None
    chain: tuple[Node, ...] = ()
    problem: str | None = None
    dtype: np.dtype[np.generic] = field(default_factory=lambda: np.dtype(np.float32))
    read: Callable[[], Numeric] = field(repr=False, compare=False, default=lambda: np.zeros(0))
    quantised: Quantised | None = field(repr=False, compare=False, default=None)
    pinned: bool = False

    @property
    def replaceable(self) -> bool:
        """May whoever runs the model give it another value?"""
        return self.problem == REPLACEABLE


@dataclass
class Constants:
    """All constants of a document, resolved on demand through chains of data movement.

    `inside`: the document is a body, whose own constants stay as they are. `loose` are roots that are not
    pinned although a body reads them.
    """

    document: Document
    shapes: Mapping[str, Shape]
    _known: dict[str, Constant | None] = field(default_factory=dict)
    inside: bool = False
    loose: frozenset[str] = frozenset()
    _depth: int = 0
    _reads: dict[str, int] = field(default_factory=dict)

    @cached_property
    def _largest(self) -> int:
        return largest_constant(self.document)

    def get(self, name: str) -> Constant | None:
        """The constant called `name`, or None where the value depends on the model's inputs."""
        if name and name not in self._known:
            self._known[name] = None
            self._known[name] = self._bounded(name)
        return self._known.get(name)

    def array(self, name: str) -> Numeric | None:
        """Its content, or None."""
        constant = self.get(name)
        return None if constant is None else constant.read()

    def scalar(self, name: str) -> float | None:
        """Its content if it is one number."""
        constant = self.get(name)
        if constant is None or int(np.prod(constant.shape)) != 1:
            return None
        return float(np.asarray(constant.read(), np.float64).reshape(()))

    def _bounded(self, name: str) -> Constant | None:
        """`_resolve`, None where the chain is absurdly long or what it computes is invalid."""
        if self._depth >= MAX_CHAIN:
            return None
        self._depth += 1
        try:
            found = self._resolve(name)
            return found if found is None or not found.chain or is_sound(found) else None
        except MALFORMED:
            return None
        finally:
            self._depth -= 1

    def _resolve(self, name: str) -> Constant | None:
        weights = self.document.weights
        if name in weights:
            return self._stored(name)
        node = self.document.producer_of(name)
        if node is None:
            return None
        evaluate = EVALUATE.get(node.op_type)
        if evaluate is None or node.domain not in DOMAINS.get(node.op_type, PLAIN):
            return None
        if self.document.opset() < MODERN and node.op_type not in MOVED_EARLY:
            return None
        operands = [self.get(i) if i else None for i in node.inputs]
        if any(o is None for i, o in zip(node.inputs, operands, strict=True) if i):
            return None
        return self._derived(name, node, [o for o in operands if o is not None], evaluate)

    def _stored(self, name: str) -> Constant | None:
        info = self.document.weights.info(name)
        problem = None
        if name in self.document.overridable:
            problem = REPLACEABLE
        elif self.inside:
            problem = "it is stored inside a subgraph"
        if info.storage == "sparse":
            return None
        axes = tuple(range(len(info.shape)))
        pinned = name in self.document.seen_inside and name not in self.loose
        read = lambda: self.document.weights.array(name)  # noqa: E731
        return Constant(name, name, info.shape, axes, (), problem, info.dtype, read, None, pinned)

    def _derived(
        self, name: str, node: Node, operands: list[Constant], evaluate: Callable[..., Any]
    ) -> Constant | None:
        if not operands and node.op_type != "Constant":
            return None
        self._reads[name] = reads = 1 + sum(self._reads.get(o.name, 1) for o in operands)
        if reads > MAX_READS or len(operands[0].chain) >= MAX_CHAIN:
            return None
        if elements(node, operands) > self._largest:
            return None

        def read() -> Numeric:
            return np.asarray(evaluate(node, *[o.read() for o in operands]))

        first = operands[0]
        shape = _shape_after(node, first, self.shapes.get(name))
        if shape is None:
            shape = tuple(read().shape)
        axes = (
            None
            if len(operands) > 1 and node.op_type in COMPUTED
            else _axes_after(node, first, operands, shape)
        )
        problem = next((o.problem for o in operands if o.problem), None)
        if self.inside:
            problem = problem or "it is computed inside a subgraph"
        if node.op_type in GENERATED:
            problem = GENERATED[node.op_type]
        how, odd = _quantised(node, operands, evaluate, axes)
        dtype = first.dtype if how is None else np.dtype(np.float64)
        chain = (*first.chain, node)
        seen = first.pinned or name in self.document.seen_inside
        pinned = seen and first.root not in self.loose
        return Constant(name, first.root, shape, axes, chain, problem or odd, dtype, read, how, pinned)


MODERN = 7
MOVED_EARLY = frozenset({"Constant", "Identity", "Transpose", "Squeeze", "Unsqueeze", "Reshape"})
"""What may stand between weight and reader before opset 7: the rest computes, and broadcast otherwise."""
PLAIN = frozenset({"", "ai.onnx"})
CONTRIB = PLAIN | {"com.microsoft"}
QONNX = frozenset({"onnx.brevitas", "qonnx.custom_op.general"})
DOMAINS = {"QuantizeLinear": CONTRIB, "DequantizeLinear": CONTRIB, "Quant": QONNX}
GENERATED = {
    "ConstantOfShape": "the graph computes it (ConstantOfShape)",
    "Quant": "it is quantised by Quant, which onnxruntime does not run",
}


def _quantised(
    node: Node, operands: list[Constant], evaluate: Callable[..., Any], axes: tuple[int | None, ...] | None
) -> tuple[Quantised | None, str | None]:
    """How the output of a node on constants is quantised, or why an edit would lose that."""
    if node.op_type in CODES:
        return quantisation(node, operands)
    how = next((o.quantised for o in operands if o.quantised), None)
    if how is None:
        return None, None
    if axes is None or operands[0].quantised is None:
        return None, f"it is quantised, then computed with ({node.op_type})"

    def seen(read: Callable[[], Numeric]) -> Callable[[], Any]:
        return lambda: evaluate(node, read(), *[o.read() for o in operands[1:]])

    if node.op_type in SAME:
        return how, None
    return replace(how, codes=seen(how.codes), zeros=seen(how.zeros)), None


COMPUTED = frozenset(
    {"Add", "Sub", "Mul", "Div", "Pow", "Concat", "Gather", "Slice", "Expand", "Sqrt", "Neg", "Reciprocal"}
)


SAME = frozenset({"Identity", "Cast", "CastLike", "Quant", *CODES})
MOVES = SAME | {"Transpose", "Squeeze", "Unsqueeze"}


def _shape_after(node: Node, first: Constant, inferred: Shape | None) -> Shape | None:
    if node.op_type in SAME:
        return first.shape
    if node.op_type == "Transpose":
        return tuple(first.shape[k] for k in permutation(node, len(first.shape)))
    return inferred


def _axes_after(
    node: Node, first: Constant, operands: list[Constant], shape: Shape
) -> tuple[int | None, ...] | None:
    """Axis map after a movement node, or None where an edit has to fold the chain."""
    if first.axes is None or node.op_type not in MOVES:
        return None
    if node.op_type in SAME:
        return first.axes
    if node.op_type == "Transpose":
        return tuple(first.axes[k] for k in permutation(node, len(first.shape)))
    named = named_axes(node, [o.read() for o in operands])
    if node.op_type == "Unsqueeze":
        if named is None:
            return None
        rest = iter(first.axes)
        new = {k % len(shape) for k in named}
        return tuple(None if k in new else next(rest) for k in range(len(shape)))
    rank = len(first.shape)
    gone = {k % rank for k in named} if named is not None else {k for k in range(rank) if first.shape[k] == 1}
    return tuple(a for k, a in enumerate(first.axes) if k not in gone)
