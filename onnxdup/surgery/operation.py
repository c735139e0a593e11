"""One round of merges on one traced document.

Every stored axis that holds channels of a merged group is contracted: producers and carriers keep (or
combine) rows, consumers absorb V ← V · unmerge. Biases absorb constants, sizes repeated in the graph follow
through the `resize` hooks of the operators, and in the end every shape is inferred again and compared with
what the ids say.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.channels import Binding, ChannelGroup, Role, Trace
from onnxdup.channels.constants import Constant
from onnxdup.channels.ids import Shape
from onnxdup.channels.rules import key
from onnxdup.channels.sharing import is_vector, stored_axis
from onnxdup.channels.trace import observe
from onnxdup.channels.tracer import Sink, Use
from onnxdup.errors import Bug, OnnxdupError
from onnxdup.graph import Document, Node
from onnxdup.merging import Merge
from onnxdup.surgery.contract import AxisOp, contract
from onnxdup.surgery.site import Site, edited, on_view
from onnxdup.surgery.sizes import Sizes
from onnxdup.surgery.wires import Wires


class ShapesDisagree(OnnxdupError):
    """Sizes in the graph did not follow a merge; `groups` are the groups involved."""

    exit_code = 5

    def __init__(self, what: str, groups: frozenset[str], node: str | None = None) -> None:
        """`what` names the activation and both shapes."""
        super().__init__(what, node=node)
        self.groups = groups


class Surgery:
    """One round of merges on one traced document."""

    def __init__(self, trace: Trace, merges: Iterable[Merge]) -> None:
        """`merges` name groups of `trace`; a plan that does not fit raises Bug."""
        self.trace, self.document = trace, trace.document
        self.merges = [(trace.group(m.group), m) for m in merges]
        self.sites: dict[object, Site] = {}
        self.new_bias: list[tuple[Node, npt.NDArray[np.float64], Sink]] = []
        self.wires = Wires(trace.document)

    def apply(self) -> tuple[Document, dict[str, Shape]]:
        """The document after the round, and the shapes of its activations."""
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
        sizes = Sizes(self.trace, self.merges, self.wires)
        self._refuse_ragged(sizes)
        sizes.follow()
        self.wires.sweep()
        document = self.wires.editor.finish()
        self._check(document, sizes)
        return document, sizes.shapes()

    def _refuse_ragged(self, sizes: Sizes) -> None:
        found = sizes.misread()
        if found is None:
            return
        node, value = found
        merged = {m.group for _, m in self.merges}
        inside = {self.trace.groups[k].name for k in self.trace.partition.groups_in(value)} & merged
        what = f"{node.name} would take {value} apart, whose two directions lose different units"
        raise ShapesDisagree(what, frozenset(inside), node.name)

    def _bind(self, binding: Binding, merge: Merge) -> None:
        mix = merge.combine.get(binding.key)
        if binding.role is Role.CONSUMER:
            mix = csr_array(merge.unmerge[binding.key].T)
        op = AxisOp(binding.axis, binding.index, merge.keep, mix, binding.block)
        uses = binding.uses if binding.private else binding.uses[:1]
        for use in uses:
            site = self._site(use)
            site.ops.append(op)
            if binding.key in merge.shift:
                site.after.append((op, merge.shift[binding.key]))

    def _site(self, use: Use) -> Site:
        folded = stored_axis(use) is None
        name = use.constant.name if folded else use.constant.root
        place: object = (use.node.index, use.slot) if is_vector(use) else name
        return self.sites.setdefault(place, Site(use))

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

    def _delta(
        self, group: ChannelGroup, sink: Sink, kappa: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Σ_c A_c kappa_c per output of the sink."""
        use = sink.use
        assert use is not None
        weight = np.moveaxis(use.constant.read().astype(np.float64), use.axis, 0)
        index = self.trace.partition.positions(use.ids, group.number)
        assert index is not None
        if len(kappa) > len(index):
            rows = weight[index[:, 0]].reshape(len(index), weight.shape[1], -1)
            return np.asarray(sink.gain * np.einsum("cot,ct->o", rows, kappa.reshape(len(index), -1)))
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
        listed = any(v.name == node.outputs[0] for v in self.document.outputs)
        if listed or len(readers) != 1 or readers[0][0].op_type != "Add":
            return None
        add = readers[0][0]
        found = next((u for u in self.trace.tracer.uses if u.node is add), None)
        last = found is not None and found.axis == len(found.constant.shape) - 1
        if found is None or not last or found.constant.problem:
            return None
        return found if is_vector(found) else None

    def _store(self, site: Site) -> None:
        use, constant = site.use, site.use.constant
        folded = constant.axes is None
        read = constant.read if folded else partial(self.document.weights.array, constant.root)
        info = None if folded else self.document.weights.info(constant.root)
        lazy = edited(read, site, None if folded else constant, info)
        private = is_vector(use) and (folded or self._shared(constant))
        if not private and not folded:
            self.wires.editor.set_tensor(constant.root, lazy)
            return
        if private and not folded and constant.chain:
            lazy = edited(constant.read, on_view(site), None)
        hint = constant.name if folded else constant.root
        if private:
            self.wires.replace(use.node, use.slot, hint, lazy)
            return
        name = self.wires.editor.add_tensor(hint, lazy)
        for node, slot in self.document.consumers_of(constant.name):
            self.wires.point(node, slot, name)

    def _add_bias(self, node: Node, delta: npt.NDArray[np.float64], sink: Sink) -> None:
        """A bias where there was none, already in the order that the outputs will have."""
        assert sink.use is not None
        dtype = sink.use.constant.read().dtype
        ops = self._ops_of(sink.use.constant, sink.out_axis)
        vector = contract(delta.astype(dtype), [AxisOp(0, o.index, o.keep, o.mix) for o in ops])
        if key(node) != "MatMul":
            self.wires.replace(node, 2, f"{node.name}_bias", vector)
            return
        left = sink.use.slot == 0
        rank = len(self.trace.shapes[node.outputs[0]])
        shaped = vector.reshape(-1, 1) if left and rank > 1 else vector
        name = self.wires.editor.add_tensor(f"{node.name}_bias", shaped)
        self.wires.editor.insert_after(node, "Add", [node.outputs[0], name], [f"{node.outputs[0]}_biased"])

    def _ops_of(self, constant: Constant, view_axis: int) -> list[AxisOp]:
        site = self.sites.get(constant.name if constant.axes is None else constant.root)
        axis = view_axis if constant.axes is None else constant.axes[view_axis]
        return [op for op in site.ops if op.axis == axis] if site else []

    def _shared(self, constant: Constant) -> bool:
        """Does anything else read the tensor, or what is made of it on the way?"""
        names = [constant.root, *(n.outputs[0] for n in constant.chain)]
        listed = {v.name for v in self.document.outputs}
        return any(len(self.document.consumers_of(n)) > 1 or n in listed for n in names)

    def _check(self, document: Document, sizes: Sizes) -> None:
        """Every value must have the shape that its ids say, and those without ids the shape they had.

        What inference knew before it must know after: it falls silent where operands no longer fit. Where it
        never knew, the model is run.
        """
        shapes, listed = self.trace.shapes, self.document.inputs
        chosen = {v.name: shapes[v.name] for v in listed if v.name in shapes}
        before, after = (d.shapes(chosen) for d in (self.document, document))
        constants = self.trace.tracer.constants
        results = [x for x in shapes if document.producer_of(x) and not constants.get(x)]
        silent = [x for x in results if not _is_known(after.get(x))]
        for x in results:
            if x not in silent or _is_known(before.get(x)):
                self._compare(x, after.get(x), sizes)
        if any(sizes.touched(x) for x in silent):
            seen = observe(document, chosen)
            for x in silent:
                self._compare(x, seen.get(x), sizes)

    def _compare(self, name: str, found: tuple[int | None, ...] | None, sizes: Sizes) -> None:
        wanted = sizes.wanted(name) if sizes.touched(name) else self.trace.shapes[name]
        if found != wanted:
            self._disagree(name, found, wanted)

    def _disagree(self, name: str, found: tuple[int | None, ...] | None, wanted: Shape) -> None:
        merged = frozenset(m.group for _, m in self.merges)
        inside = {self.trace.groups[k].name for k in self.trace.partition.groups_in(name)} & merged
        shape = "no shape" if found is None else f"shape {list(found)}"
        what = f"{name} would have {shape} instead of {list(wanted)}"
        raise ShapesDisagree(what, frozenset(inside) or merged)


def _is_known(shape: tuple[int | None, ...] | None) -> TypeGuard[Shape]:
    return shape is not None and None not in shape
