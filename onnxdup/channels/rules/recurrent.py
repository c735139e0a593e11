"""Recurrent layers: they read their input linearly; their hidden units are channels, a set per direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from onnxdup.channels.constants import Constant
from onnxdup.channels.ids import Ids
from onnxdup.channels.rules.linear import consume
from onnxdup.channels.rules.table import Resizer, key, resize, rule
from onnxdup.channels.tracer import Decline, Recurrence, Role, Sink, Tracer, Use
from onnxdup.channels.transfer import Lumping, Part, PerChannel, Stack
from onnxdup.channels.zeros import always_zero
from onnxdup.graph import Node

Numeric = npt.NDArray[np.generic]
Table = Callable[[], Numeric]
ODD = frozenset({"tanh", "scaledtanh", "softsign"})
HOMOGENEOUS = frozenset({"relu", "leakyrelu"})
STATES = (5, 6)


@dataclass(frozen=True)
class Cell:
    """Gates of a recurrent layer in the order of ONNX.

    `odd[g]`: gate g changes sign with its unit, if the activations numbered `turned` (of `activations` per
    direction, by default `default`) are odd functions. Of the `peepholes` vectors each meets the cell state.
    """

    odd: tuple[bool, ...]
    default: tuple[str, ...]
    turned: tuple[int, ...]
    peepholes: int = 0

    @property
    def gates(self) -> int:
        """How many."""
        return len(self.odd)


CELLS = {
    "LSTM": Cell((False, False, False, True), ("sigmoid", "tanh", "tanh"), (1, 2), 3),
    "GRU": Cell((False, False, True), ("sigmoid", "tanh"), (1,)),
    "RNN": Cell((True,), ("tanh",), (0,)),
}
PASSES = (
    "consumer (κ = 0); hidden units: ⟨1, 0⟩, ⟨−1, 0⟩ where cell and state activations are odd, ⟨a > 0, 0⟩ in "
    "an RNN with Relu, if every sum of recurrent weights over such units agrees"
)


@rule("LSTM", "GRU", "RNN", kind="layer", passes=PASSES)
def recurrent(t: Tracer, n: Node) -> None:
    """W is (directions, gates · units, inputs), R (directions, gates · units, units)."""
    layer = _Layer(t, n)
    layer.check()
    if t.carries(n.inputs[0]):
        consume(t, n, layer.w, 1, 2, t.vector(n.inputs[0], -1), 1, shift=False)
    units = [layer.direction(number) for number in range(layer.directions)]
    if len(units) > 1:
        t.peers.append(units)
    layer.outputs(units)


@resize("LSTM", "GRU", "RNN")
def _(r: Resizer, n: Node) -> None:
    value = next((o for o in n.outputs if o), None)
    if value is None or not r.touched(value):
        return
    r.set_attr(n, "hidden_size", r.count(value, -1))
    for slot in STATES:
        if slot < len(n.inputs) and n.inputs[slot] and r.always_zero(n.inputs[slot]):
            r.omit(n, slot)


class _Layer:
    """One recurrent node while its rule runs."""

    def __init__(self, t: Tracer, n: Node) -> None:
        self.t, self.n, self.cell = t, n, CELLS[key(n)]
        self.w, self.r = t.need(n, 1, "weight"), t.need(n, 2, "recurrence weight")
        self.b = t.need(n, 3, "bias") if _given(n, 3) else None
        self.p = t.need(n, 7, "peephole weight") if _given(n, 7) else None
        self.directions = self.w.shape[0] if len(self.w.shape) == 3 else 0
        self.hidden = self.r.shape[-1] if self.r.shape else 0
        self.batch_first = bool(n.attrs.get("layout", 0))
        self.reset_after = key(n) == "GRU" and bool(n.attrs.get("linear_before_reset", 0))

    def check(self) -> None:
        """Decline where shapes are not those of the specification; nothing has been recorded yet."""
        d, gates, h = self.directions, self.cell.gates, self.hidden
        wanted = [
            (self.r, (d, gates * h, h)),
            (self.b, (d, 2 * gates * h)),
            (self.p, (d, self.cell.peepholes * h)),
        ]
        turned = self.n.attrs.get("direction", "forward") in ("bidirectional", b"bidirectional")
        fits = d == 1 + turned and self.w.shape[:2] == (d, gates * h)
        if not fits or any(c is not None and c.shape != shape for c, shape in wanted):
            raise Decline(f"{self.n.op_type} whose weights have shapes that do not belong together")
        if int(self.n.attrs.get("hidden_size", h)) != h:
            raise Decline(f"{self.n.op_type} whose hidden_size is not that of its weights")
        if any(c is not None and c.quantised is not None for c in (self.w, self.r, self.b)):
            raise Decline(f"{self.n.op_type} with quantised weights")

    def direction(self, number: int) -> Ids:
        """Units of one direction: everything that they index, and their own recurrence."""
        t, n, cell = self.t, self.n, self.cell
        units, name = t.fresh(self.hidden), self._name(number)
        self.block = (0, number) if self.directions > 1 else None
        t.place(name, units)
        w = self._bind(self.w, 1, np.tile(units, cell.gates), Role.PRODUCER, 1)
        r = self._bind(self.r, 1, np.tile(units, cell.gates), Role.PRODUCER, 2)
        columns = self._bind(self.r, 2, units, Role.CONSUMER, 2)
        signs = self._signs(number)
        parts = [*self._gates(units, lambda: self._by_gate(w)), *self._biases(units), *self._peepholes(units)]
        states, inputs = self._states(units, number, signs)
        lumping = Lumping(
            units, (*parts, *states), lambda: self._by_gate(r), cell.odd, signs, self._scales(number)
        )
        t.recurrences.append(Recurrence(n, inputs, name, units, lumping, (w, r)))
        t.sinks.append(Sink(n, name, units, columns, 1, shift=False))
        return units

    def outputs(self, units: list[Ids]) -> None:
        """Y (steps, directions, batch, units), Y_h, Y_c (directions, batch, units); layout 1: batch first."""
        t, n = self.t, self.n
        both = np.stack(units)
        names = [self._name(number) for number in range(len(units))]
        for k, value in enumerate(n.outputs):
            if value:
                first = both[None, None] if self.batch_first else both[None, :, None]
                rest = both[None] if self.batch_first else both[:, None]
                t.place(value, first if k == 0 else rest)
                t.step(n, names, Stack(), value)

    def _name(self, number: int) -> str:
        """A name for the units that no value of the graph has."""
        return f"\0{self.n.index}.{number}"

    def _bind(self, constant: Constant, axis: int, ids: Ids, role: Role, slot: int) -> Use:
        return self.t.bind(constant, axis, ids, role, self.n, slot, self.block)

    def _by_gate(self, use: Use) -> Numeric:
        """Rows (gates · units, m) as (units, gates, m)."""
        rows = use.rows()
        return np.moveaxis(rows.reshape(-1, self.hidden, rows.shape[1]), 1, 0)

    def _gates(self, units: Ids, table: Table, sizes: Table | None = None) -> list[Part]:
        """A table (units, gates, m) in two parts: gates that keep and gates that change their sign."""
        odd = np.array(self.cell.odd)

        def some(values: Table, flips: bool) -> PerChannel:
            return PerChannel(units, lambda: values()[:, odd == flips].reshape(self.hidden, -1))

        return [
            Part(some(table, flips), flips, sizes and some(sizes, flips))
            for flips in (False, True)
            if (odd == flips).any()
        ]

    def _biases(self, units: Ids) -> list[Part]:
        """Wb + Rb of each gate; of a GRU's candidate apart where the reset gate multiplies the second."""
        if self.b is None:
            return []
        use = self._bind(self.b, 1, np.tile(units, 2 * self.cell.gates), Role.PRODUCER, 3)
        gates = self.cell.gates

        def summed(size: bool = False) -> Numeric:
            table = self._by_gate(use).astype(np.float64)
            table = np.abs(table) if size else table
            return np.asarray(table[:, :gates] + table[:, gates:])

        parts = self._gates(units, summed, partial(summed, True))
        if self.reset_after:
            apart = PerChannel(units, lambda: self._by_gate(use)[:, [gates - 1, 2 * gates - 1], 0])
            return [parts[0], Part(apart, True)]
        return parts

    def _peepholes(self, units: Ids) -> list[Part]:
        if self.p is None:
            return []
        use = self._bind(self.p, 1, np.tile(units, self.cell.peepholes), Role.CARRIER, 7)
        return [Part(PerChannel(units, lambda: self._by_gate(use)[:, :, 0]), True)]

    def _states(self, units: Ids, number: int, signs: bool) -> tuple[list[Part], tuple[str, ...]]:
        """Initial states: absent and zero ones need nothing, constants are compared, channels are united."""
        t, n = self.t, self.n
        parts, inputs = [], []
        for slot in (s for s in STATES if _given(n, s)):
            name = n.inputs[slot]
            held = t.constant(n, slot)
            if always_zero(t.constants, name):
                continue
            if held is not None:
                parts.append(Part(self._constant_state(held, units, number, slot), True))
            elif t.carries(name):
                self._unite(name, units, number)
                inputs.append(name)
            else:
                t.freeze(units, f"its {STATE_NAMES[slot]} comes from outside the layer", n)
        return parts, tuple(inputs)

    def _constant_state(self, held: Constant, units: Ids, number: int, slot: int) -> PerChannel:
        at = int(self.batch_first)
        block = (at, number) if self.directions > 1 else None
        if len(held.shape) != 3 or held.shape[2] != self.hidden or held.shape[at] != self.directions:
            self.t.freeze(units, f"its {STATE_NAMES[slot]} has another shape", self.n)
            return PerChannel(units, lambda: np.zeros((self.hidden, 1), np.float32))
        use = self.t.bind(held, 2, units, Role.CARRIER, self.n, slot, block)
        return PerChannel(units, use.rows)

    def _unite(self, name: str, units: Ids, number: int) -> None:
        """An initial state that another layer makes: its channels are these units."""
        t, ids = self.t, self.t.ids(name)
        at = int(self.batch_first)
        if ids.ndim != 3 or ids.shape[1 - at] != 1 or ids.shape[2] != self.hidden or not ids.all():
            t.freeze(ids, f"state of {self.n.op_type}", self.n)
            t.freeze(units, "its initial state is not one channel per unit", self.n)
            return
        t.unite(np.moveaxis(ids, at, 0)[min(number, ids.shape[at] - 1)].ravel(), units)

    def _signs(self, number: int) -> bool:
        """Are the activations odd that a change of sign has to pass?"""
        return all(name in ODD for name in self._turned(number))

    def _scales(self, number: int) -> bool:
        """Does everything scale with the unit: an RNN with Relu or LeakyRelu that is not clipped?"""
        scaling = all(name in HOMOGENEOUS for name in self._turned(number))
        return all(self.cell.odd) and scaling and "clip" not in self.n.attrs

    def _turned(self, number: int) -> list[str]:
        """Activations that a change of the unit has to pass."""
        names = [
            str(a.decode() if isinstance(a, bytes) else a).lower()
            for a in self.n.attrs.get("activations", ())
        ]
        count = len(self.cell.default)
        own = names[number * count : (number + 1) * count] or list(self.cell.default)
        return [own[k] for k in self.cell.turned] if len(own) == count else [""]


STATE_NAMES = {5: "initial state", 6: "initial cell state"}


def _given(n: Node, slot: int) -> bool:
    return slot < len(n.inputs) and bool(n.inputs[slot])
