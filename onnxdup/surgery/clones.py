"""Readers of one stored weight get copies of their own, so that each can lose other channels."""

from __future__ import annotations

from collections.abc import Sequence

from onnxdup.channels.constants import Constants
from onnxdup.errors import UsageError
from onnxdup.graph import Document, Lazy, Node
from onnxdup.merging import Readers
from onnxdup.surgery.wires import Wires


def separated(document: Document, clones: Sequence[Readers]) -> Document:
    """The document in which each of these sets of readers has its own copy of the weight that it reads.

    The function stays the same; what nobody reads any more is removed. The same document where there are no
    sets. UsageError where a set does not read one constant.
    """
    if not clones:
        return document
    wires, constants = Wires(document), Constants(document, {})
    nodes = {n.name: n for n in document.nodes}
    for readers in clones:
        places = [(nodes.get(name), slot) for name, slot in readers]
        _separate(
            wires, constants, [(n, slot) for n, slot in places if n is not None and slot < len(n.inputs)]
        )
    wires.sweep()
    return wires.editor.finish()


def _separate(wires: Wires, constants: Constants, places: Sequence[tuple[Node, int]]) -> None:
    names = {n.inputs[slot] for n, slot in places}
    constant = constants.get(names.pop()) if len(names) == 1 else None
    if constant is None:
        raise UsageError("the plan copies a weight that these nodes do not share", remedy="make a new plan")
    stored = wires.document.weights.info(constant.root) if not constant.chain else None
    dtype = constant.read().dtype if stored is None else stored.dtype
    lazy = Lazy(constant.shape, dtype, constant.read)
    (node, slot), *others = places
    name = wires.replace(node, slot, constant.root, lazy)
    for node, slot in others:
        wires.point(node, slot, name)
