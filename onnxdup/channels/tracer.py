"""The walk over a graph that gives every activation its channel ids, and the verbs that rules speak.

`unite` same channel · `tie` kept or dropped as one · `bind` this parameter axis is indexed by these channels
· `freeze` these channels must stay · `step` what the operator does to the relation of two channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeAlias

import numpy as np

from onnxdup.channels.constants import Constant, Constants, Numeric
from onnxdup.channels.ids import Ids, Shape, along, compact, no_channel, to_rank, varying
from onnxdup.channels.transfer import Lumping, Parameter, PerChannel, Transfer
from onnxdup.graph import Document, Node

FIRST_INNER = 1 << 32
"""Index of the first node inside a body; no file has that many nodes."""
UNKNOWN = "the shape of an activation is not known"
Slice: TypeAlias = tuple[int, int] | None


class Role(Enum):
    """What a parameter axis is to the channels that index it."""

    PRODUCER = "producer"
    CARRIER = "carrier"
    CONSUMER = "consumer"


class Decline(Exception):
    """A rule's way to say: these channels stay as they are, because …"""


@dataclass(frozen=True)
class Freeze:
    """Why channels must stay, and the node that says so."""

    reason: str
    node: str

    def __str__(self) -> str:
        return f"{self.reason} (node {self.node})" if self.node else self.reason


@dataclass(frozen=True)
class Use:
    """One parameter axis indexed by channel ids, as read by `node` at input `slot`.

    `block` is (axis, number) where only one slice of the parameter is meant: one direction of an LSTM.
    """

    constant: Constant
    axis: int
    ids: Ids
    role: Role
    node: Node
    slot: int
    block: Slice = None

    def rows(self, read: Callable[[], Numeric] | None = None) -> Numeric:
        """What the parameter (or `read`, of its shape) holds at each place of the axis: (len(ids), m)."""
        array, axis = (read or self.constant.read)(), self.axis
        if self.block is not None:
            at, number = self.block
            array, axis = np.moveaxis(array, at, 0)[number], axis - (at < axis)
        rest = math.prod(d for k, d in enumerate(array.shape) if k != axis)
        return np.moveaxis(array, axis, 0).reshape(array.shape[axis], rest)


@dataclass(frozen=True)
class Step:
    """What `node` does to relations, from activations `inputs` to activation `output`."""

    node: Node
    inputs: tuple[str, ...]
    output: str
    transfer: Transfer


@dataclass(frozen=True)
class Source:
    """A weight whose rows make the channels of `output`; `rows` are the paper's filters, bias excluded."""

    node: Node
    output: str
    rows: PerChannel
    gain: float
    use: Use
    blocks: int = 1


@dataclass(frozen=True)
class Sink:
    """A weight that reads the channels of `input` linearly, so that it can absorb a·h + kappa.

    `out_axis` of the weight indexes its outputs; `shift` is False where kappa cannot be absorbed exactly
    (zero padding, no bias possible); `room` says whether there is a bias at all, exact or not at the border.
    `use` is None for a reader that absorbs nothing: copies only.
    """

    node: Node
    input: str
    ids: Ids
    use: Use | None
    out_axis: int = 0
    gain: float = 1.0
    shift: bool = True
    room: bool = True


@dataclass(frozen=True)
class Recurrence:
    """One direction of a recurrent layer, which reads its own units one step later.

    `output` is the name given to the units `ids`, `inputs` hold their initial state, `rows` are W and R.
    """

    node: Node
    inputs: tuple[str, ...]
    output: str
    ids: Ids
    lumping: Lumping
    rows: tuple[Use, Use]


@dataclass
class Tracer:
    """State of one walk. Rules receive it as `t`.

    `contested` are stored tensors whose readers disagree. `inner_readers` are the nodes inside bodies that
    read a value of the main graph, by the owner of the body and the value: (value, index of the reader).
    """

    document: Document
    shapes: Mapping[str, Shape]
    constants: Constants
    declared: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    values: dict[str, Ids] = field(default_factory=dict)
    count: int = 1
    pairs: list[Ids] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    frozen: list[tuple[Ids, Freeze]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    sinks: list[Sink] = field(default_factory=list)
    recurrences: list[Recurrence] = field(default_factory=list)
    peers: list[list[Ids]] = field(default_factory=list)
    sizes: dict[str, list[Ids]] = field(default_factory=dict)
    declined: list[tuple[Node, str]] = field(default_factory=list)
    contested: set[str] = field(default_factory=set)
    inner_readers: dict[tuple[int, str], list[tuple[str, int]]] = field(default_factory=dict)
    next_inner: int = FIRST_INNER
    at: Node | None = None

    def ids(self, name: str) -> Ids:
        """Ids of an activation; no channels where nothing is known."""
        found = self.values.get(name)
        return no_channel(len(self.shapes.get(name, ()))) if found is None else found

    def shape(self, name: str) -> Shape:
        """Concrete shape, or Decline."""
        if name not in self.shapes:
            raise Decline(UNKNOWN)
        return self.shapes[name]

    def rank(self, name: str) -> int:
        """Number of axes, or Decline; that of its channels where the shape is not known."""
        return len(self.lengths(name))

    def lengths(self, name: str) -> tuple[int | None, ...]:
        """Concrete shape, None for unknown lengths: channels tell theirs. Decline where nothing is known."""
        if name in self.shapes or not self.carries(name):
            return self.shape(name)
        return tuple(d if d > 1 else None for d in self.ids(name).shape)

    def length(self, name: str, axis: int) -> int:
        """Length of one axis, or Decline."""
        found = self.lengths(name)[axis]
        if found is None:
            raise Decline(UNKNOWN)
        return found

    def static(self, name: str) -> tuple[int | None, ...] | None:
        """Shape with None for dimensions that callers may choose."""
        return self.declared.get(name)

    def carries(self, name: str) -> bool:
        """Does the activation hold any channel?"""
        return bool(name) and bool(self.ids(name).any())

    def fresh(self, n: int) -> Ids:
        """`n` new channels."""
        ids = np.arange(self.count, self.count + n)
        self.count += n
        return ids

    def unite(self, a: Ids, b: Ids) -> None:
        """Element by element the same channel; where one of the two has none, the other is frozen by the
        caller.
        """
        pairs = np.stack([np.ravel(x) for x in np.broadcast_arrays(a, b)], 1)
        pairs = pairs[(pairs > 0).all(1) & (pairs[:, 0] != pairs[:, 1])]
        if len(pairs):
            self.pairs.append(np.unique(pairs, axis=0))

    def tie(self, ids: Ids, axis: int) -> Ids:
        """Channels that differ only along `axis` become one; returns the ids with that axis compact."""
        first = ids.take([0], axis)
        if ((ids > 0) != (first > 0)).any():
            self.freeze(ids, "its channels are mixed with values of another origin", None)
        self.unite(np.broadcast_to(first, ids.shape), ids)
        return first

    def vector(self, name: str, axis: int, length: int | None = None) -> Ids:
        """Ids along one axis of an activation, at its true length; other axes are united.

        `length` is what the operator's weight says, for activations of unknown shape.
        """
        if length is not None and name not in self.shapes and not self.carries(name):
            return np.zeros(length, np.int64)
        ids = self.ids(name)
        axis %= self.rank(name)
        places = self.length(name, axis)
        flat = np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)
        for column in range(1, flat.shape[1]):
            self.unite(flat[:, 0], flat[:, column])
        if flat.shape[1] > 1 and ((flat == 0).any(1) != (flat == 0).all(1)).any():
            self.freeze(ids, "its channels are mixed with values of another origin", None)
        return np.broadcast_to(flat[:, 0], (places,)) if ids.shape[axis] == 1 else flat[:, 0]

    def freeze(self, ids: Ids, reason: str, node: Node | None) -> None:
        """These channels must stay."""
        found = np.unique(ids)
        node = node or self.at
        if found.any():
            self.frozen.append((found[found > 0], Freeze(reason, node.name if node else "")))

    def bind(
        self, constant: Constant, axis: int, ids: Ids, role: Role, node: Node, slot: int, block: Slice = None
    ) -> Use:
        """Axis `axis` of a parameter is indexed by `ids`; with `block` only in one slice of it."""
        axis %= len(constant.shape)
        if 0 in constant.shape:
            raise Decline(f"{constant.name} has no elements")
        if constant.shape[axis] != len(ids):
            raise Decline(f"{constant.name} has {constant.shape[axis]} entries for {len(ids)} channels")
        use = Use(constant, axis, np.asarray(ids), role, node, slot, block)
        if constant.problem:
            self.freeze(use.ids, f"a weight cannot be edited: {constant.problem}", node)
        self.uses.append(use)
        self._bind_scales(use)
        return use

    def _bind_scales(self, use: Use) -> None:
        """Scales and zero points per row of a quantised weight are carriers that follow the rows."""
        how, axes = use.constant.quantised, use.constant.axes
        if how is None or how.axis is None or axes is None or axes[use.axis] != how.axis:
            return
        for node, slot, vector in how.vectors:
            self.bind(vector, 0, use.ids, Role.CARRIER, node, slot)

    def step(self, node: Node, inputs: Sequence[str], transfer: Transfer, output: str | None = None) -> None:
        """Record what the node does to relations."""
        self.steps.append(Step(node, tuple(inputs), output or node.outputs[0], transfer))

    def constant(self, node: Node, slot: int) -> Constant | None:
        """The constant at an input of the node, if it is one."""
        return (
            self.constants.get(node.inputs[slot]) if slot < len(node.inputs) and node.inputs[slot] else None
        )

    def need(self, node: Node, slot: int, what: str) -> Constant:
        """The constant at an input of the node, or Decline."""
        found = self.constant(node, slot)
        if found is None:
            raise Decline(f"{node.op_type} with a computed {what}")
        if 0 in found.shape:
            raise Decline(f"{node.op_type} with an empty {what}")
        return found

    def scalar(self, node: Node, slot: int, default: float | None) -> float | None:
        """A scalar constant input; `default` where the input is omitted; None where it is computed or a
        vector.
        """
        if slot >= len(node.inputs) or not node.inputs[slot]:
            return default
        return self.constants.scalar(node.inputs[slot])

    def parameter(
        self, node: Node, slot: int, rank: int, input_name: str, seen: Constant | None = None
    ) -> tuple[Parameter, Ids | None]:
        """A constant operand broadcast against the activation `input_name`, per channel where it varies
        over channels.

        Binds it. Returns the parameter and, where it has entries per channel, the ids that index it. `seen`
        stands for the operand where the operator sees it with other axes.
        """
        constant = seen if seen is not None else self.need(node, slot, "operand")
        if int(np.prod(constant.shape)) == 1:
            return float(np.asarray(constant.read(), np.float64).reshape(())), None
        ids = to_rank(self.ids(input_name), rank)
        axes = varying(ids)
        if not axes:
            if ids.any():
                raise Decline(f"{node.op_type} with a constant over a single channel")
            return 1.0, None
        if len(axes) > 1:
            raise Decline(f"{node.op_type} with a constant over channels on two axes")
        own = axes[0] - (rank - len(constant.shape))
        if own < 0 or constant.shape[own] == 1:
            return PerChannel(
                self.vector(input_name, axes[0]), lambda: _repeated(constant, ids.shape[axes[0]])
            ), None
        vector = self.vector(input_name, axes[0])
        self.bind(constant, own, vector, Role.CARRIER, node, slot)
        return PerChannel(vector, lambda: moved(constant, own)), vector

    def forget(self, node: Node) -> None:
        """Undo what was recorded of a node that turned out to be malformed; what it froze stays frozen."""
        self.uses = [u for u in self.uses if u.node is not node]
        self.steps = [s for s in self.steps if s.node is not node]
        self.sources = [s for s in self.sources if s.node is not node]
        self.sinks = [s for s in self.sinks if s.node is not node]
        self.recurrences = [r for r in self.recurrences if r.node is not node]

    def inner(self, document: Document, shapes: Mapping[str, Shape], constants: Constants) -> Tracer:
        """A tracer for a body: the same channels and records, freezes of its own."""
        return replace(
            self,
            document=document,
            shapes=shapes,
            constants=constants,
            declared={},
            values=dict(self.values),
            frozen=[],
            declined=[],
            sizes={},
            sinks=[],
        )

    def take_back(self, inner: Tracer, reasons: Sequence[Freeze]) -> None:
        """What was found in a body; its readers absorb no constants."""
        self.count, self.pairs, self.values = inner.count, inner.pairs, inner.values
        self.uses, self.steps, self.sources = inner.uses, inner.steps, inner.sources
        self.sinks += [replace(s, shift=False, room=False) for s in inner.sinks]
        self.frozen += [(ids, why) for (ids, _), why in zip(inner.frozen, reasons, strict=True)]

    def place(self, name: str, ids: Ids) -> None:
        """Give an activation its ids."""
        self.values[name] = compact(ids) if ids.any() else no_channel(ids.ndim)

    def whole(self, ids: Ids) -> bool:
        """Are these one direction of a recurrent layer, or several?"""
        hit = [s for peers in self.peers for s in peers if np.isin(s, ids).any()]
        return bool(hit) and all(np.isin(s, ids).all() for s in hit)

    def lay(self, vector: Ids, axis: int, rank: int) -> Ids:
        """A vector of ids along one axis."""
        return along(np.asarray(vector), axis, rank)


def moved(constant: Constant, axis: int) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Content with `axis` first and the rest flattened: (length, m)."""
    array = constant.read()
    rest = math.prod(d for k, d in enumerate(array.shape) if k != axis % array.ndim)
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], rest)


def _repeated(constant: Constant, length: int) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.broadcast_to(constant.read().reshape(1, -1), (length, int(np.prod(constant.shape))))
