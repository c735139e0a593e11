"""Surgery: apply a round of merges to a document. It knows no method.

Every stored axis that holds channels of a merged group is contracted: producers and carriers keep (or combine) rows,
consumers absorb V ← V · unmerge. Biases absorb constants, sizes repeated in the graph follow through the `resize`
hooks of the operators, and in the end every shape is inferred again and compared with what the ids say it must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.channels import ChannelGroup, Role, Trace
from onnxdup.channels.constants import Constant
from onnxdup.channels.groups import Binding, is_vector, stored_axis
from onnxdup.channels.ids import Ids
from onnxdup.channels.rules import RESIZE, key
from onnxdup.channels.trace import concrete_inputs
from onnxdup.channels.tracer import Sink, Use
from onnxdup.errors import Bug, OnnxdupError
from onnxdup.graph import Document, Editor, Lazy, Node
from onnxdup.merging import Merge

Numeric = npt.NDArray[np.generic]


class ShapesDisagree(OnnxdupError):
    """Sizes in the graph did not follow a merge; `groups` are the groups involved."""

    exit_code = 5

    def __init__(self, what: str, groups: frozenset[str], node: str | None = None) -> None:
        """`what` names the activation and both shapes."""
        super().__init__(what, node=node)
        self.groups = groups


@dataclass(frozen=True)
class AxisOp:
    """Contraction of one group on one axis: rows at `index[keep]` become `mix` @ rows at `index` (None: they stay)."""

    axis: int
    index: npt.NDArray[np.int64]
    keep: npt.NDArray[np.int64]
    mix: csr_array | None = None

    @property
    def dropped(self) -> npt.NDArray[np.int64]:
        """Positions that go."""
        return self.index[np.setdiff1d(np.arange(len(self.index)), self.keep)].ravel()


def contract(array: Numeric, ops: Sequence[AxisOp]) -> Numeric:
    """Apply all contractions of a tensor; products in float64, rows that only stay keep their bits."""
    for axis in sorted({op.axis for op in ops}):
        mine = [op for op in ops if op.axis == axis]
        moved = np.moveaxis(array, axis, 0)
        changed = [_mixed(moved, op) for op in mine]
        stay = np.setdiff1d(np.arange(array.shape[axis]), np.concatenate([op.dropped for op in mine]))
        array = np.array(np.moveaxis(moved[stay], 0, axis))
        view = np.moveaxis(array, axis, 0)
        for places, rows in changed:
            view[np.searchsorted(stay, places)] = rows
    return np.ascontiguousarray(array)


def _mixed(moved: Numeric, op: AxisOp) -> tuple[npt.NDArray[np.int64], Numeric]:
    """(positions, new rows) of the rows that `mix` really changes."""
    empty = np.zeros(0, np.int64)
    if op.mix is None:
        return empty, moved[:0]
    k = len(op.keep)
    plain = csr_array((np.ones(k), (np.arange(k), op.keep)), shape=op.mix.shape)
    rows = np.unique((op.mix - plain).tocoo().coords[0])
    if not len(rows):
        return empty, moved[:0]
    mix = csr_array(op.mix)[rows]
    used = np.unique(mix.indices)
    small = mix[:, used]
    places = [op.index[op.keep[rows], c] for c in range(op.index.shape[1])]
    parts = []
    for c in range(op.index.shape[1]):
        old = moved[op.index[used, c]].astype(np.float64).reshape(len(used), -1)
        parts.append((small @ old).reshape(len(rows), *moved.shape[1:]).astype(moved.dtype))
    return np.concatenate(places), np.concatenate(parts)


@dataclass
class _Site:
    """One stored tensor and what happens to it, or to the private copy of one of its readers."""

    use: Use
    ops: list[AxisOp] = field(default_factory=list)
    add: npt.NDArray[np.float64] | None = None
    after: list[tuple[AxisOp, npt.NDArray[np.float64]]] = field(default_factory=list)


class Surgery:
    """One round of merges on one traced document."""

    def __init__(self, trace: Trace, merges: Iterable[Merge]) -> None:
        """`merges` name groups of `trace`; a plan that does not fit raises Bug."""
        self.trace, self.document = trace, trace.document
        self.merges = [(trace.group(m.group), m) for m in merges]
        self.sites: dict[object, _Site] = {}
        self.new_bias: list[tuple[Node, npt.NDArray[np.float64], Sink]] = []
        self.editor: Editor = trace.document.edit()
        self.orphans: set[str] = set()
        self.resized: set[tuple[int, int]] = set()

    def apply(self) -> Document:
        """The document after the round."""
        for group, merge in self.merges:
            if merge.size != group.size:
                raise Bug(f"the plan has {merge.size} channels for {group.name}, the model {group.size}")
            for binding in group.bindings:
                self._bind(binding, merge)
        for group, merge in self.merges:
            for sink in group.sinks:
                if sink.node.name in merge.constant and sink.use is not None:
                    self._absorb(group, sink, merge.constant[sink.node.name])
        for site in self.sites.values():
            self._store(site)
        for node, delta, sink in self.new_bias:
            self._add_bias(node, delta, sink)
        Sizes(self).follow()
        self._sweep()
        document = self.editor.finish()
        self._check(document)
        return document

    def _bind(self, binding: Binding, merge: Merge) -> None:
        mix = merge.combine.get(binding.key)
        if binding.role is Role.CONSUMER:
            mix = csr_array(merge.unmerge[binding.key].T)
        op = AxisOp(binding.axis, binding.index, merge.keep, mix)
        uses = binding.uses if binding.private else binding.uses[:1]
        for use in uses:
            site = self._site(use)
            site.ops.append(op)
            if binding.key in merge.shift:
                site.after.append((op, merge.shift[binding.key]))

    def _site(self, use: Use) -> _Site:
        folded = stored_axis(use) is None
        name = use.constant.name if folded else use.constant.root
        place: object = (use.node.index, use.slot) if is_vector(use) else name
        return self.sites.setdefault(place, _Site(use))

    def _absorb(self, group: ChannelGroup, sink: Sink, kappa: npt.NDArray[np.float64]) -> None:
        delta = self._delta(group, sink, kappa)
        node = sink.node
        if key(node) == "MatMul":
            use = self._following_add(node)
        else:
            use = self._bias_use(node)
            delta = delta / float(node.attrs.get("beta", 1.0)) if key(node) == "Gemm" else delta
        if use is None:
            self.new_bias.append((node, delta, sink))
            return
        site = self._site(use)
        site.add = delta if site.add is None else site.add + delta

    def _delta(self, group: ChannelGroup, sink: Sink, kappa: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Σ_c A_c kappa_c per output of the sink."""
        use = sink.use
        assert use is not None
        weight = np.moveaxis(use.constant.read().astype(np.float64), use.axis, 0)
        index = self.trace.partition.positions(use.ids, group.number)
        assert index is not None
        per_place = np.zeros(weight.shape[0])
        per_place[index] = kappa[:, None]
        total = np.tensordot(per_place, weight, 1)
        out = sink.out_axis - (1 if sink.out_axis > use.axis else 0)
        return np.asarray(sink.gain * np.moveaxis(total, out, 0).reshape(total.shape[out], -1).sum(1))

    def _bias_use(self, node: Node) -> Use | None:
        return next((u for u in self.trace.tracer.uses if u.node is node and u.slot == 2), None)

    def _following_add(self, node: Node) -> Use | None:
        """The bias vector of the Add that alone reads a MatMul."""
        readers = self.document.consumers_of(node.outputs[0])
        if len(readers) != 1 or readers[0][0].op_type != "Add":
            return None
        add = readers[0][0]
        found = next((u for u in self.trace.tracer.uses if u.node is add), None)
        last = found is not None and found.axis == len(found.constant.shape) - 1
        return found if found is not None and last and not found.constant.problem and is_vector(found) else None

    def _store(self, site: _Site) -> None:
        use, constant = site.use, site.use.constant
        folded = constant.axes is None
        read = constant.read if folded else partial(self.document.weights.array, constant.root)
        lazy = _edited(read, site, None if folded else constant)
        private = is_vector(use) and (folded or self._shared(constant))
        if not private and not folded:
            self.editor.set_tensor(constant.root, lazy)
            return
        if private and not folded and constant.chain:
            lazy = _edited(constant.read, _on_view(site), None)
        name = self.editor.add_tensor(constant.name if folded else constant.root, lazy)
        targets = [(use.node, use.slot)] if private else self.document.consumers_of(constant.name)
        for node, slot in targets:
            self.editor.set_input(node, slot, name)
        self.orphans.add(constant.name)

    def _add_bias(self, node: Node, delta: npt.NDArray[np.float64], sink: Sink) -> None:
        """A bias where there was none, already in the order that the outputs will have."""
        assert sink.use is not None
        dtype = sink.use.constant.read().dtype
        ops = [op for op in self._ops_of(sink.use.constant, sink.out_axis)]
        vector = contract(delta.astype(dtype), [AxisOp(0, o.index, o.keep, o.mix) for o in ops])
        if key(node) != "MatMul":
            name = self.editor.add_tensor(f"{node.name}_bias", vector)
            self.editor.set_input(node, 2, name)
            return
        left = sink.use.slot == 0
        rank = len(self.trace.shapes[node.outputs[0]])
        shaped = vector.reshape(-1, 1) if left and rank > 1 else vector
        name = self.editor.add_tensor(f"{node.name}_bias", shaped)
        self.editor.insert_after(node, "Add", [node.outputs[0], name], [f"{node.outputs[0]}_biased"])

    def _ops_of(self, constant: Constant, view_axis: int) -> list[AxisOp]:
        site = self.sites.get(constant.name if constant.axes is None else constant.root)
        axis = view_axis if constant.axes is None else constant.axes[view_axis]
        return [op for op in site.ops if op.axis == axis] if site else []

    def _sweep(self) -> None:
        """Constants and data movement that nothing reads any more because of us."""
        outputs = {v.name for v in self.document.outputs}
        gone: set[int] = set()
        rewired = self.editor_rewired
        waiting = list(self.orphans)
        while waiting:
            name = waiting.pop()
            if not name or name in outputs:
                continue
            if any(n.index not in gone and (n.index, s) not in rewired for n, s in self.document.consumers_of(name)):
                continue
            node = self.document.producer_of(name)
            if node is not None and node.op_type != "Constant":
                gone.add(node.index)
                self.editor.remove_node(node)
                waiting += [x for x in node.inputs if x]
            elif name in self.document.weights and name not in self.document.overridable:
                self.editor.remove_tensor(name)

    @property
    def editor_rewired(self) -> set[tuple[int, int]]:
        """(node index, slot) pairs that read something else now."""
        found = {(u.node.index, u.slot) for u in (s.use for s in self.sites.values()) if self._moved(u)}
        for site in self.sites.values():
            if site.use.constant.axes is None and not is_vector(site.use):
                found |= {(n.index, s) for n, s in self.document.consumers_of(site.use.constant.name)}
        return found | self.resized

    def _moved(self, use: Use) -> bool:
        return use.constant.axes is None or (is_vector(use) and self._shared(use.constant))

    def _shared(self, constant: Constant) -> bool:
        """Does anything else read the tensor, or what is made of it on the way?"""
        names = [constant.root, *(n.outputs[0] for n in constant.chain)]
        listed = {v.name for v in self.document.outputs}
        return any(len(self.document.consumers_of(n)) > 1 or n in listed for n in names)

    def _check(self, document: Document) -> None:
        """Every activation that holds channels must have the shape that its ids say."""
        inputs = {v.name: self.trace.shapes.get(v.name) for v in self.document.inputs}
        known = {k: v for k, v in inputs.items() if v is not None} or concrete_inputs(self.document.inputs)
        inferred = document.shapes(known)
        sizes = Sizes(self)
        for name in self.trace.tracer.values:
            found = inferred.get(name)
            if found is None or name not in self.trace.shapes or any(d is None for d in found):
                continue
            wanted = tuple(sizes.count(name, k) for k in range(len(found))) if sizes.touched(name) else self.trace.shapes[name]
            if tuple(found) != wanted:
                groups = {self.trace.groups[k].name for k in self.trace.partition.groups_in(name)}
                merged = {m.group for _, m in self.merges}
                raise ShapesDisagree(
                    f"{name} would have shape {list(found)} instead of {list(wanted)}", frozenset(groups & merged or merged)
                )


def _on_view(site: _Site) -> _Site:
    """The same edits, on the axes that the reader sees."""
    axes = site.use.constant.axes or ()
    back = {root: view for view, root in enumerate(axes) if root is not None}
    ops = [AxisOp(back[o.axis], o.index, o.keep, o.mix) for o in site.ops]
    return _Site(site.use, ops, site.add, [(AxisOp(back[o.axis], o.index, o.keep), s) for o, s in site.after])


def _edited(read: Any, site: _Site, constant: Constant | None) -> Lazy:
    """The tensor after all edits, computed when it is written."""
    ops, add, after = list(site.ops), site.add, list(site.after)
    axis_of_use = site.use.axis if constant is None or constant.axes is None else constant.axes[site.use.axis]

    def compute() -> Numeric:
        array = read()
        if add is not None:
            lay = [-1 if k == axis_of_use else 1 for k in range(array.ndim)]
            array = (array.astype(np.float64) + add.reshape(lay)).astype(array.dtype)
        array = contract(array, ops)
        for op, shift in after:
            array = _shifted(array, ops, op, shift)
        return array

    before = read()
    shape = list(before.shape)
    for op in ops:
        shape[op.axis] -= len(op.dropped)
    return Lazy(tuple(shape), before.dtype, compute)


def _shifted(array: Numeric, ops: Sequence[AxisOp], op: AxisOp, shift: npt.NDArray[np.float64]) -> Numeric:
    """Add a value per kept channel at its new places."""
    gone = np.concatenate([o.dropped for o in ops if o.axis == op.axis])
    old = op.index[op.keep]
    new = old - np.searchsorted(np.sort(gone), old)
    out = np.moveaxis(array.astype(np.float64), op.axis, 0)
    out[new] += shift.reshape(-1, *([1] * out.ndim))
    return np.moveaxis(out, 0, op.axis).astype(array.dtype)


class Sizes:
    """How long each axis of each activation is after the round, and the constants that repeat it."""

    def __init__(self, surgery: Surgery) -> None:
        """Channels that go, by root id."""
        self.surgery, self.trace = surgery, surgery.trace
        partition = surgery.trace.partition
        self.gone = np.zeros(len(partition.root), bool)
        for group, merge in surgery.merges:
            self.gone[group.channels[merge.dropped]] = True
        self._touched: dict[str, bool] = {}

    def follow(self) -> None:
        """Run the `resize` hooks of every node that loses channels."""
        for node in self.trace.document.nodes:
            hook = RESIZE.get(key(node))
            if hook is not None and any(self.touched(v) for v in (*node.inputs, *node.outputs) if v):
                hook(self, node)

    def _ids(self, value: str) -> Ids | None:
        return self.trace.tracer.values.get(value)

    def touched(self, value: str) -> bool:
        """Does the activation lose anything?"""
        if value not in self._touched:
            ids = self._ids(value)
            root = self.trace.partition.root
            self._touched[value] = ids is not None and bool(self.gone[root[ids]].any())
        return self._touched[value]

    def kept(self, value: str, axis: int) -> npt.NDArray[np.bool_]:
        """Which entries of an axis stay, at its old length."""
        ids, shape = self._ids(value), self.trace.shapes[value]
        axis %= len(shape)
        if ids is None or ids.shape[axis] == 1:
            return np.ones(shape[axis], bool)
        lost = self.gone[self.trace.partition.root[np.moveaxis(ids, axis, 0).reshape(ids.shape[axis], -1)]]
        return ~lost.all(1)

    def count(self, value: str, axis: int) -> int:
        """How many stay."""
        return int(self.kept(value, axis).sum())

    def shape(self, value: str) -> tuple[int, ...]:
        """Old shape."""
        return self.trace.shapes[value]

    def opset(self) -> int:
        """Opset of the default domain."""
        return self.trace.document.opset()

    def integers(self, node: Node, slot: int) -> list[int | None] | None:
        """An integer input element by element; None for elements that the graph computes."""
        if slot >= len(node.inputs) or not node.inputs[slot]:
            return None
        pieces = _pieces(self.trace, node.inputs[slot])
        if pieces is None:
            return None
        return [None if p is None else int(np.ravel(self.trace.tracer.constants.array(p[0]))[p[1]]) for p in pieces]

    def set_attr(self, node: Node, name: str, value: Any) -> None:
        """Change an attribute; None removes it."""
        if value is not None or name in node.attrs:
            self.surgery.editor.set_attr(node, name, value)

    def set_integers(self, node: Node, slot: int, values: Sequence[int | None]) -> None:
        """Write changed elements where they are stored, in a copy for this node where others read them too."""
        name = node.inputs[slot] if slot < len(node.inputs) else ""
        pieces = _pieces(self.trace, name) if name else None
        old = self.integers(node, slot)
        if old == list(values):
            return
        if pieces is None or all(p is not None and p[0] == name for p in pieces):
            new = self.surgery.editor.add_tensor(name or f"{node.name}_sizes", np.asarray(values, np.int64))
            self.surgery.editor.set_input(node, slot, new)
            self.surgery.resized.add((node.index, slot))
            self.surgery.orphans.add(name)
            return
        self._patch(node, slot, pieces, old or [], values)

    def _patch(self, node: Node, slot: int, pieces: Any, old: Sequence[int | None], values: Sequence[int | None]) -> None:
        for piece, before, after in zip(pieces, old, values, strict=True):
            if piece is None or before == after or after is None:
                continue
            self._patch_piece(node, piece, int(after))

    def _patch_piece(self, node: Node, piece: tuple[str, int], value: int) -> None:
        """One element of a Concat of sizes."""
        name, place = piece
        array = np.array(self.trace.tracer.constants.array(name))
        array.reshape(-1)[place] = value
        concat = self.trace.document.producer_of(node.inputs[_size_slot(self.trace, node, name)])
        readers = self.trace.document.consumers_of(name)
        assert concat is not None
        for reader, k in readers:
            if reader is concat:
                new = self.surgery.editor.add_tensor(name, array)
                self.surgery.editor.set_input(concat, k, new)
                self.surgery.resized.add((concat.index, k))
                self.surgery.orphans.add(name)
                return


def _size_slot(trace: Trace, node: Node, piece: str) -> int:
    for slot, name in enumerate(node.inputs):
        concat = trace.document.producer_of(name) if name else None
        if concat is not None and concat.op_type == "Concat" and piece in concat.inputs:
            return slot
    raise Bug("a size of this node is not where it was", node=node.name)


def _pieces(trace: Trace, name: str) -> list[tuple[str, int] | None] | None:
    """Where each element of a vector of sizes is stored; None for computed elements; None if nothing is known."""
    constant = trace.tracer.constants.get(name)
    if constant is not None:
        return [(name, k) for k in range(int(np.prod(constant.shape)))]
    node = trace.document.producer_of(name)
    if node is None or node.op_type != "Concat":
        return None
    out: list[tuple[str, int] | None] = []
    for x in node.inputs:
        held = trace.tracer.constants.get(x)
        length = int(np.prod(trace.shapes[x])) if held is None and x in trace.shapes else None
        if held is None and length is None:
            return None
        out += [(x, k) for k in range(int(np.prod(held.shape)))] if held is not None else [None] * (length or 0)
    return out


def apply(trace: Trace, merges: Iterable[Merge]) -> Document:
    """The document of `trace` after one round of merges; the original is untouched.

    Raises ShapesDisagree where sizes in the graph cannot follow.
    """
    return Surgery(trace, merges).apply()
