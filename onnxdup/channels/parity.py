"""Even and odd parts: which functions F of one channel z obey F(z) − F(−z) = c z, however they are written.

Every function is the sum of its even and its odd part. For channels that pass the same F, and units z and −z,
the difference F(z) − F(−z) is twice the odd part; where that is linear, pairs of opposite units span the
pre-activations themselves: Relu, LeakyRelu, Gelu, SiLU, HardSwish, Softplus, and their decomposed forms.
`Path` walks a channel group once and tells linear values, such functions, and everything else apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from onnxdup.channels.groups import ChannelGroup
from onnxdup.channels.tracer import Source, Step
from onnxdup.channels.transfer import (
    Absolute,
    Affine,
    Depthwise,
    Even,
    Homogeneous,
    Odd,
    PointSymmetric,
    Pointwise,
    Powers,
    Product,
    Same,
    Slopes,
    Stack,
    Sum,
    Total,
    Transfer,
)


@dataclass(frozen=True)
class Parity:
    """F = even + odd · z of the value z made by item `base`; None where that part is not of this form.

    `homogeneous`: F(t z) = t F(z) for t > 0. `slopes`: F is a PRelu with a slope per channel.
    """

    base: int
    even: float | None = 0.0
    odd: float | None = 1.0
    homogeneous: bool = True
    slopes: Slopes | None = None

    @property
    def linear(self) -> bool:
        """Is F a constant plus a multiple of z?"""
        return self.even is not None and self.odd is not None


Known = Sequence[Parity | None]


def passed(transfer: Transfer, known: Known) -> Parity | None:
    """F behind an operator that treats all channels alike; None where that is not known."""
    parts = [p for p in known if p is not None]
    if isinstance(transfer, Stack) and len(parts) == 1:
        return parts[0]
    if len(parts) < len(known) or not parts:
        return None
    if len(parts) > 1:
        return _joined(transfer, parts)
    return None if parts[0].slopes is not None else _alone(transfer, parts[0])


def _alone(transfer: Transfer, p: Parity) -> Parity | None:
    if isinstance(transfer, Same):
        return p if transfer.keeps_shift else None
    if isinstance(transfer, Affine):
        return _scaled(transfer, p)
    if isinstance(transfer, Slopes):
        fits = p.even == 0 and p.odd is not None and p.odd > 0
        return replace(p, even=None, slopes=transfer) if fits else None
    if p.odd == 0 and isinstance(transfer, Pointwise):
        return replace(p, even=None, homogeneous=False)
    return _activated(transfer, p)


def _scaled(transfer: Affine, p: Parity) -> Parity | None:
    s, t = transfer.scale, transfer.shift
    if not isinstance(s, float) or not isinstance(t, float):
        return None
    even = None if p.even is None else s * p.even + t
    odd = None if p.odd is None else s * p.odd
    return replace(p, even=even, odd=odd, homogeneous=p.homogeneous and t == 0)


def _activated(transfer: Transfer, p: Parity) -> Parity | None:
    if isinstance(transfer, PointSymmetric):
        return Parity(p.base, transfer.q, None, False) if p.even == transfer.p else None
    if p.even != 0:
        return None
    if isinstance(transfer, Odd) or (isinstance(transfer, Powers) and transfer.odd):
        return Parity(p.base, 0.0, None, False)
    if isinstance(transfer, Even | Absolute) or (isinstance(transfer, Powers) and transfer.even):
        return Parity(p.base, None, 0.0, p.homogeneous and isinstance(transfer, Absolute))
    if isinstance(transfer, Pointwise) and transfer.lean is not None and p.odd is not None:
        homogeneous = p.homogeneous and isinstance(transfer, Homogeneous)
        return Parity(p.base, None, p.odd * transfer.lean / 2, homogeneous)
    return None


def _joined(transfer: Transfer, parts: list[Parity]) -> Parity | None:
    if len({p.base for p in parts}) > 1 or any(p.slopes is not None for p in parts):
        return None
    if isinstance(transfer, Sum) and not transfer.outside:
        return _added(transfer.signs, parts)
    if isinstance(transfer, Product) and not transfer.outside and len(parts) == 2:
        return _multiplied(*parts)
    return None


def _added(signs: Sequence[float], parts: list[Parity]) -> Parity:
    even, odd = 0.0, 0.0
    evens, odds = [p.even for p in parts], [p.odd for p in parts]
    known_even, known_odd = None not in evens, None not in odds
    for sign, e, o in zip(signs, evens, odds, strict=True):
        even, odd = even + sign * (e or 0.0), odd + sign * (o or 0.0)
    homogeneous = all(p.homogeneous for p in parts)
    return Parity(parts[0].base, even if known_even else None, odd if known_odd else None, homogeneous)


def _multiplied(p: Parity, q: Parity) -> Parity:
    """(E + O)(E' + O'): the odd part is E O' + O E', the even part E E' + O O'."""
    odd = [_product(p.even, q.odd), _product(q.even, p.odd)]
    bare = p.odd == 0 or q.odd == 0
    even = _product(p.even, q.even) if bare else None
    total = None if odd[0] is None or odd[1] is None else odd[0] + odd[1]
    return Parity(p.base, even, total, False)


def _product(x: float | None, y: float | None) -> float | None:
    if x == 0 or y == 0:
        return 0.0
    return None if x is None or y is None else x * y


@dataclass(frozen=True)
class Move:
    """One source or step, what is known of its inputs, and of its output (None: not a function of one z).

    Where it makes a new linear value, `after.base` is its own `number`.
    """

    number: int
    item: Source | Step
    before: tuple[Parity | None, ...]
    after: Parity | None


@dataclass(frozen=True)
class Path:
    """All items of a group in order, and what is known of the value at each sink.

    `linear`: every sink reads a linear function of the rows. `leaning`: every sink reads, through linear
    operators, functions of one value whose odd part is linear; `homogeneous`: they scale with it.
    """

    moves: tuple[Move, ...]
    sinks: tuple[Parity | None, ...]
    leaving: tuple[Parity, ...] = field(default=())

    @property
    def linear(self) -> bool:
        """See above."""
        return all(p is not None and p.linear for p in self.sinks)

    @property
    def leaning(self) -> bool:
        """See above."""
        odd = all(p.odd is not None for p in self.leaving)
        return odd and len({p.base for p in self.leaving}) == 1 and not self.linear

    @property
    def homogeneous(self) -> bool:
        """See above."""
        return all(p.homogeneous for p in self.leaving)

    @property
    def slopes(self) -> Slopes | None:
        """The PRelu on the way, if there is one."""
        return next((p.slopes for p in self.leaving if p.slopes is not None), None)


def path(group: ChannelGroup) -> Path | None:
    """What the channels of a group pass; None where anything mixes them otherwise than linearly."""
    state: dict[str, Parity | None] = {s.output: Parity(k) for k, s in enumerate(group.sources)}
    moves = [Move(k, s, (), state[s.output]) for k, s in enumerate(group.sources)]
    leaving: list[Parity] = []
    for number, step in enumerate(group.steps, len(moves)):
        before = tuple(state.get(x) for x in step.inputs)
        after = passed(step.transfer, before)
        carried = any(x in state for x in step.inputs)
        if carried and after is None:
            if not is_linear(step.transfer):
                return None
            if _all_linear(step, state):
                after = Parity(number)
            else:
                leaving += [p for p in before if p is not None]
        if carried:
            state[step.output] = after
            moves.append(Move(number, step, before, after))
    sinks = tuple(state.get(s.input) for s in group.sinks)
    if any(s.input not in state for s in group.sinks):
        return None
    return Path(tuple(moves), sinks, (*leaving, *(p for p in sinks if p is not None)))


def is_linear(transfer: Transfer) -> bool:
    """Does the operator, with its parameters per channel, act linearly on each channel by itself?"""
    if isinstance(transfer, Sum):
        return not transfer.outside
    if isinstance(transfer, Product):
        return transfer.outside
    return isinstance(transfer, Affine | Same | Depthwise | Total | Stack)


def _all_linear(step: Step, state: dict[str, Parity | None]) -> bool:
    found = [state[x] for x in step.inputs if x in state]
    return all(p is not None and p.linear for p in found)


def is_strict(transfer: Transfer) -> bool:
    """May no constant be left over in front of it: zero padding, a product with another activation?"""
    if isinstance(transfer, Same):
        return not transfer.keeps_shift
    if isinstance(transfer, Total):
        return transfer.count is None
    if isinstance(transfer, Product):
        return transfer.outside
    return isinstance(transfer, Depthwise)
