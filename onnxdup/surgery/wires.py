"""Who reads what: inputs that get a tensor of their own, and constants that nobody reads any more because
of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnxdup.graph import Document, Lazy, Node
from onnxdup.surgery.contract import Numeric


class Wires:
    """The editor of one round and what it has rewired."""

    def __init__(self, document: Document) -> None:
        """Nothing is changed yet."""
        self.document, self.editor = document, document.edit()
        self.rewired: set[tuple[int, int]] = set()
        self.left: list[str] = []
        self.needed: set[str] = set()

    def replace(self, node: Node, slot: int, hint: str, tensor: Numeric | Lazy) -> str:
        """Give one input of a node a new tensor; returns its name."""
        name = self.editor.add_tensor(hint, tensor)
        self.point(node, slot, name)
        return name

    def point(self, node: Node, slot: int, name: str) -> None:
        """Make one input of a node read `name`."""
        old = node.inputs[slot] if slot < len(node.inputs) else ""
        self.editor.set_input(node, slot, name)
        self.rewired.add((node.index, slot))
        if old:
            self.left.append(old)

    def regroup(
        self, concat: Node, inputs: Sequence[str], chain: Sequence[Node], node: Node, slot: int
    ) -> None:
        """Let the Concat behind an input of `node` read `inputs`; a copy of it where it has other readers.

        `chain` are the casts between the two.
        """
        listed = {v.name for v in self.document.outputs}
        names = [n.outputs[0] for n in (concat, *chain)]
        if all(len(self.document.consumers_of(x)) == 1 and x not in listed for x in names):
            for k, (old, new) in enumerate(zip(concat.inputs, inputs, strict=True)):
                if old != new:
                    self.point(concat, k, new)
            return
        self.needed.update(inputs)
        (made,) = self.editor.insert_before(node, "Concat", inputs, names[:1], {"axis": 0})
        for cast, name in zip(chain, names[1:], strict=True):
            (made,) = self.editor.insert_before(node, cast.op_type, [made], [name], dict(cast.attrs))
        self.point(node, slot, made)

    def sweep(self) -> None:
        """Remove constants, and data movement on them, that lost their last reader to us."""
        outputs = {v.name for v in self.document.outputs}
        gone: set[int] = set()
        removed: set[str] = set()
        while self.left:
            name = self.left.pop()
            if (
                name in removed
                or name in outputs
                or name in self.document.overridable
                or self._read(name, gone)
            ):
                continue
            node = self.document.producer_of(name)
            if node is not None and any(x in outputs or self._read(x, gone) for x in node.outputs if x):
                continue
            removed.add(name)
            if node is not None and node.op_type != "Constant":
                gone.add(node.index)
                self.editor.remove_node(node)
                self.left += [x for x in node.inputs if x]
            elif name in self.document.weights:
                self.editor.remove_tensor(name)

    def _read(self, name: str, gone: set[int]) -> bool:
        readers = self.document.consumers_of(name)
        others = ((n.index, slot) for n, slot in readers if n.index not in gone)
        return name in self.needed or any(place not in self.rewired for place in others)
