"""The walk of linear forms and of combinations from the rows of a group to its sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxdup.channels.combination import Combination, factor, pushed
from onnxdup.channels.flow import Reader
from onnxdup.channels.parity import Move, Parity, Path, is_strict
from onnxdup.channels.relation import Array
from onnxdup.channels.tracer import Source
from onnxdup.channels.transfer import Affine, Depthwise, Sum, Total, Transfer

Turn = Callable[[Parity, Combination], Combination]


@dataclass(frozen=True)
class Form:
    """A linear value: Σ_p gains[p] (row_p · x_p) + shift; gains (n,) by number of source, shift (n, m)."""

    gains: Mapping[int, Array]
    shift: Array


@dataclass(frozen=True)
class Forms:
    """The linear values of a path: `made` by number of the item, `at` the sinks; and the `strict` ones.

    Strict values are those in which no constant may be left over (zero padding behind them, say); `late`: so
    is a value behind the first non-linear function.
    """

    made: Mapping[int, Form]
    at: tuple[Form | None, ...]
    strict: tuple[Form, ...]
    late: bool

    def gains(self, base: int | None = None) -> list[Array] | None:
        """Gain of each source at item `base`, or at the first sink that it reaches; None where it is lost."""
        forms = [self.made[base]] if base is not None else [f for f in self.at if f is not None]
        found: dict[int, Array] = {}
        for form in reversed(forms):
            found.update(form.gains)
        return [found[k] for k in sorted(found)] if forms else None


def forms(path: Path, reader: Reader) -> Forms | None:
    """All linear forms of a path; None where a scale differs between the copies of a composite channel."""
    group = reader.group
    state: dict[str, Form | None] = {}
    made: dict[int, Form] = {}
    strict: list[Form] = []
    late = False
    for move in path.moves:
        known = [state[x] for x in getattr(move.item, "inputs", ()) if x in state]
        if not isinstance(move.item, Source) and is_strict(move.item.transfer):
            strict += [f for f in known if f is not None]
            late = late or any(f is None for f in known)
        form = _form(move, known, reader)
        if form is None and move.after is not None and move.after.linear:
            return None
        state[move.item.output] = form
        if form is not None:
            made[move.number] = form
    at = tuple(state.get(s.input) for s in group.sinks)
    for sink, form in zip(group.sinks, at, strict=True):
        if not sink.shift:
            strict += [form] if form is not None else []
            late = late or form is None
    return Forms(made, at, tuple(strict), late)


def _form(move: Move, known: Sequence[Form | None], reader: Reader) -> Form | None:
    n = reader.group.size
    if isinstance(move.item, Source):
        return Form({move.number: np.ones(n)}, np.zeros((n, 1)))
    if move.after is None or not move.after.linear or any(f is None for f in known):
        return None
    operands = [f for f in known if f is not None]
    transfer = move.item.transfer
    if isinstance(transfer, Sum):
        return _sum(transfer, operands)
    return _transformed(transfer, operands[0], reader)


def _sum(transfer: Sum, operands: Sequence[Form]) -> Form | None:
    gains: dict[int, Array] = {}
    shift = np.zeros((1, 1))
    for sign, form in zip(transfer.signs, operands, strict=True):
        if not _fit(shift, form.shift):
            return None
        shift = shift + sign * form.shift
        for k, g in form.gains.items():
            gains[k] = gains[k] + sign * g if k in gains else sign * g
    return Form(gains, shift)


def _transformed(transfer: Transfer, form: Form, reader: Reader) -> Form | None:
    if isinstance(transfer, Total):
        count = float(transfer.count or 1)
        return Form({k: count * g for k, g in form.gains.items()}, count * form.shift)
    if isinstance(transfer, Depthwise):
        return _transformed(transfer.bias, form, reader)
    if not isinstance(transfer, Affine):
        return form
    s, uniform = factor(reader, transfer.scale)
    t = reader.of(transfer.shift)
    if not uniform or not _fit(form.shift, t):
        return None
    return Form({k: g * s for k, g in form.gains.items()}, form.shift * s[:, None] + t)


def _fit(a: Array, b: Array) -> bool:
    """Do shifts have equal numbers of copies, or one for all copies?"""
    return a.shape[1] == b.shape[1] or 1 in (a.shape[1], b.shape[1])


def linear(p: Parity, c: Combination) -> Combination:
    """The combination of even + odd · z from that of z."""
    if p.even is None or p.odd is None:
        return c.lost()
    return c.shifted(p.odd, p.even)


def mixed(path: Path, reader: Reader, start: Sequence[Combination], turn: Turn = linear) -> list[Combination]:
    """The combination at each sink, from those of the rows of each source.

    `turn` makes the combination of a function of z from that of z, where the path of such functions ends.
    """
    z: dict[int, Combination] = {}
    state: dict[str, Combination] = {}
    for move in path.moves:
        item = move.item
        if isinstance(item, Source):
            z[move.number] = start[move.number]
        elif move.after is None or move.after.base == move.number:
            how = turn if move.after is None else linear
            known = [
                state.get(x) if p is None else how(p, z[p.base])
                for x, p in zip(item.inputs, move.before, strict=True)
            ]
            new = pushed(item.transfer, known, reader)
            if move.after is None:
                state[item.output] = new
            else:
                z[move.number] = new
    found = []
    for sink, p in zip(reader.group.sinks, path.sinks, strict=True):
        c = state[sink.input] if p is None else turn(p, z[p.base])
        found.append(c if sink.shift else c.where(c.no_shift))
    return found
