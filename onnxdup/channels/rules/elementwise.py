"""Arithmetic of two or more operands: with a constant a per-channel map, with an activation a union of
channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onnxdup.channels.ids import Ids, to_rank, varying
from onnxdup.channels.rules.legacy import as_seen
from onnxdup.channels.rules.table import rule
from onnxdup.channels.tracer import UNKNOWN, Decline, Tracer, Use
from onnxdup.channels.transfer import (
    Affine,
    Agree,
    Homogeneous,
    Parameter,
    Pointwise,
    Powers,
    Product,
    Sum,
    Transfer,
)
from onnxdup.graph import Node

ELEMENTWISE = "element by element"


def mapped(p: Parameter, f: Callable[[np.ndarray], np.ndarray]) -> Parameter:
    """A parameter with `f` applied when it is read."""
    if isinstance(p, float):
        return float(f(np.array(p)))
    return replace(p, values=lambda: f(p.values().astype(np.float64)))


def unite_operands(t: Tracer, n: Node, names: list[str]) -> tuple[Ids, bool]:
    """Unite the channels of activations broadcast against each other: (ids of the result, is there an
    operand without channels).

    An operand that does vary over the channel axis but has no channels (an input of the model, say) freezes
    the rest.
    """
    rank = max(t.rank(x) for x in names)
    ids = [to_rank(t.ids(x), rank) for x in names]
    shapes = [(1,) * (rank - t.rank(x)) + t.lengths(x) for x in names]
    axes = {k for z in ids for k in varying(z)}
    if len(axes) > 1:
        raise Decline("operands carry channels on different axes")
    if not axes:
        return _single(t, n, ids, shapes)
    axis = axes.pop()
    out, outside = next(z for z in ids if z.shape[axis] > 1), False
    for z, shape in zip(ids, shapes, strict=True):
        if z.shape[axis] > 1:
            if ((z > 0) != (out > 0)).any():
                raise Decline("channels meet values that are not channels")
            t.unite(out, z)
        elif (length := shape[axis]) is None:
            raise Decline(UNKNOWN)
        elif length > 1:
            raise Decline("channels meet an operand whose channels are fixed")
        else:
            t.freeze(z, "one channel is broadcast over many", n)
            outside = True
    return out, outside


def _single(t: Tracer, n: Node, ids: list[Ids], shapes: list[tuple[int | None, ...]]) -> tuple[Ids, bool]:
    if any(None in shape for shape in shapes):
        raise Decline(UNKNOWN)
    found = [z for z in ids if z.any()]
    if len(set(shapes)) > 1 or len(found) < len(ids):
        for z in found:
            t.freeze(z, "a single channel meets other values", n)
        return np.zeros_like(found[0]), True
    for z in found[1:]:
        t.unite(found[0], z)
    return found[0], False


def _activations(t: Tracer, n: Node, transfer: Callable[[bool], Transfer]) -> None:
    ids, outside = unite_operands(t, n, list(n.inputs))
    if ids.any():
        t.place(n.outputs[0], ids)
        t.step(n, n.inputs, transfer(outside))


def _split(t: Tracer, n: Node) -> tuple[str, int] | None:
    """(the activation, slot of the constant) where exactly one of two operands is constant."""
    constant = [t.constant(n, k) is not None for k in range(2)]
    if constant == [True, False]:
        return n.inputs[1], 0
    if constant == [False, True]:
        return n.inputs[0], 1
    return None


def _operand(t: Tracer, n: Node, x: str, slot: int) -> tuple[Parameter, Use | None]:
    before = len(t.uses)
    p, _ = t.parameter(n, slot, _rank(t, n), x, seen=as_seen(t, n, slot))
    return p, t.uses[-1] if len(t.uses) > before else None


def _affine(t: Tracer, n: Node, x: str, transfer: Transfer) -> None:
    t.place(n.outputs[0], to_rank(t.ids(x), _rank(t, n)))
    t.step(n, [x], transfer)


def _rank(t: Tracer, n: Node) -> int:
    """Axes of the result: those of the operand with the most."""
    if n.outputs[0] in t.shapes:
        return len(t.shapes[n.outputs[0]])
    held = [t.constant(n, k) for k in range(len(n.inputs))]
    pairs = zip(n.inputs, held, strict=True)
    return max(t.rank(x) if c is None else len(c.shape) for x, c in pairs)


def _idle(t: Tracer, n: Node) -> bool:
    """No operand carries channels."""
    return not any(t.carries(x) for x in n.inputs)


@rule("Add", "Sub", kind=ELEMENTWISE, passes="constant: κ + e_j − a e_i; two branches: the same a in both")
def add(t: Tracer, n: Node) -> None:
    """x ± c, c − x, or the sum of two branches."""
    if _idle(t, n):
        return None
    sign = -1.0 if n.op_type == "Sub" else 1.0
    if (found := _split(t, n)) is None:
        return _activations(t, n, lambda outside: Sum((1.0, sign), outside))
    x, slot = found
    p, use = _operand(t, n, x, slot)
    scale, gain = (1.0, sign) if slot == 1 else (sign, 1.0)
    return _affine(t, n, x, Affine(scale, mapped(p, lambda v: gain * v), use, gain))


@rule("Mul", kind=ELEMENTWISE, passes="constant: ⟨a m_j/m_i, m_j κ⟩; gate: ⟨a¹a², 0⟩")
def mul(t: Tracer, n: Node) -> None:
    """x · c or the product of two branches."""
    if _idle(t, n):
        return None
    if (found := _split(t, n)) is None:
        return _activations(t, n, Product)
    p, _ = _operand(t, n, *found)
    return _affine(t, n, found[0], Affine(scale=p))


@rule("Div", kind=ELEMENTWISE, passes="constant divisor: as Mul; constant dividend: ⟨1/a, 0⟩")
def div(t: Tracer, n: Node) -> None:
    """x / c, c / x, x / u."""
    if _idle(t, n):
        return None
    if (found := _split(t, n)) is None:
        divided = t.carries(n.inputs[0]) and not t.carries(n.inputs[1])
        return _activations(
            t, n, lambda outside: Product(True) if divided and outside else Agree(outside=outside)
        )
    x, slot = found
    p, _ = _operand(t, n, x, slot)
    if slot == 1:
        return _affine(t, n, x, Affine(scale=mapped(p, np.reciprocal)))
    _affine(t, n, x, Powers(np.reciprocal, np.reciprocal))
    return t.step(n, [n.outputs[0]], Affine(scale=p))


@rule("Pow", kind=ELEMENTWISE, passes="a > 0 → a^p; even p: |a|^p")
def power(t: Tracer, n: Node) -> None:
    """x^p with a constant scalar p; other forms pass copies."""
    if _idle(t, n):
        return None
    p = t.scalar(n, 1, None)
    if p is None or not t.carries(n.inputs[0]):
        return _copies(t, n)
    whole = float(p).is_integer() and p > 0
    even, odd = whole and int(p) % 2 == 0, whole and int(p) % 2 == 1
    return _affine(t, n, n.inputs[0], Powers(lambda z: z**p, lambda a: a**p, even, odd))


@rule("Max", "Min", kind=ELEMENTWISE, passes="with 0: a > 0; two branches: the same a > 0, κ in both")
def extremum(t: Tracer, n: Node) -> None:
    """Max(x, 0) is Relu; Max(x, c) passes copies; branches must agree."""
    if _idle(t, n):
        return None
    f = np.maximum if n.op_type == "Max" else np.minimum
    if len(n.inputs) == 2 and (found := _split(t, n)) is not None:
        x, slot = found
        c = t.scalar(n, slot, None)
        if c is None:
            raise Decline(f"{n.op_type} with a constant per channel")
        if c == 0:
            return _affine(t, n, x, Homogeneous(lambda z: f(z, 0), lean=1.0))
        return _affine(t, n, x, Pointwise(lambda z: f(z, c)))
    if any(t.constant(n, k) is not None for k in range(len(n.inputs))):
        raise Decline(f"{n.op_type} of several operands with constants")
    return _activations(t, n, lambda outside: Agree(True, outside))


@rule("Sum", "Mean", kind=ELEMENTWISE, passes="the same a in every branch")
def total(t: Tracer, n: Node) -> None:
    """n-ary sum or mean of activations."""
    if _idle(t, n):
        return
    if any(t.constant(n, k) is not None for k in range(len(n.inputs))):
        raise Decline(f"{n.op_type} with a constant operand")
    weight = 1.0 / len(n.inputs) if n.op_type == "Mean" else 1.0
    _activations(t, n, lambda outside: Sum((1.0,) * len(n.inputs), outside))
    if weight != 1.0 and t.carries(n.outputs[0]):
        t.step(n, [n.outputs[0]], Affine(scale=weight))


@rule(
    *("Where", "Mod", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor"),
    *("BitShift", "Not", "IsNaN", "IsInf"),
    kind=ELEMENTWISE,
    passes="copies",
)
def other(t: Tracer, n: Node) -> None:
    """Deterministic and element by element: equal channels stay equal."""
    if not _idle(t, n):
        _copies(t, n)


def _copies(t: Tracer, n: Node) -> None:
    rank = _rank(t, n)
    names = [x for k, x in enumerate(n.inputs) if x and t.constant(n, k) is None]
    for k, x in enumerate(n.inputs):
        if x not in names and (c := t.constant(n, k)) is not None and int(np.prod(c.shape)) > 1:
            raise Decline(f"{n.op_type} with a constant per channel")
    if len(names) == 1:
        t.place(n.outputs[0], to_rank(t.ids(names[0]), rank))
        return t.step(n, names, Agree())
    ids, _ = unite_operands(t, n, names)
    if ids.any():
        t.place(n.outputs[0], to_rank(ids, rank))
        t.step(n, names, Agree(outside=True))
    return None
