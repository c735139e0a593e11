"""Which channel each filter of a layer makes, and which channel each of its weights reads.

With that, the filters of two networks can be compared although their channels come in another order: columns
that read corresponding channels are put beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxdup.channels.ids import Ids
from onnxdup.channels.layers import Layer
from onnxdup.channels.order import in_order
from onnxdup.channels.rules.recurrent import CELLS
from onnxdup.channels.trace import Trace
from onnxdup.channels.tracer import Role, Use


@dataclass(frozen=True)
class Wired:
    """A layer with the channels at both of its ends; 0 is no channel.

    `makes` (filters,) and `reads` (fan_in,) are ids as in `Partition.root`. `raw` says that what reads no
    channel reads the model's inputs, whose order is the same in every model of that interface.
    """

    layer: Layer
    makes: Ids
    reads: Ids
    raw: bool

    @property
    def taps(self) -> int:
        """Weights per channel that is read (kernel size, positions of a flattened image); 0 without
        channels.
        """
        found = self.reads[self.reads > 0]
        return int(np.unique(found, return_counts=True)[1].max()) if len(found) else 0


def wired(trace: Trace) -> tuple[Wired, ...]:
    """Every layer of a trace with its channels, in the order of the graph."""
    learned, uses = _learned(trace), _uses(trace)
    raw = {n.name for n in trace.document.nodes if not any(x in learned for x in n.inputs)}
    return tuple(_wired(trace, x, uses.get((x.tensor, x.node), ()), x.node in raw) for x in trace.layers)


def _learned(trace: Trace) -> set[str]:
    """Activations that depend on the weights of any layer; a node with subgraphs or a local function counts
    as one.
    """
    layers = {x.node for x in trace.layers} | {b.owner for b in trace.document.bodies}
    found: set[str] = set()
    for node in in_order(trace.document):
        if node.name in layers or any(x in found for x in (*node.inputs, *node.captured)):
            found.update(o for o in node.outputs if o)
    return found


def _uses(trace: Trace) -> Mapping[tuple[str, str], tuple[Use, ...]]:
    """Parameter axes by (stored tensor, node)."""
    found: dict[tuple[str, str], tuple[Use, ...]] = {}
    for use in trace.tracer.uses:
        key = (use.constant.root, use.node.name)
        found[key] = (*found.get(key, ()), use)
    return found


def _wired(trace: Trace, layer: Layer, uses: Iterable[Use], raw: bool) -> Wired:
    made = [u for u in uses if u.role is Role.PRODUCER]
    read = [u for u in uses if u.role is Role.CONSUMER]
    root = trace.partition.root
    makes, reads = np.zeros(layer.filters, np.int64), np.zeros(layer.fan_in, np.int64)
    if layer.op_type in CELLS:
        made = sorted(made, key=lambda u: u.block or (0, 0))
        makes = _fitting(np.concatenate([makes[:0], *(root[u.ids] for u in made)]), makes)
        if len(read) == 1:
            reads = _fitting(root[read[0].ids], reads)
    elif len(made) == 1:
        makes = _fitting(root[made[0].ids], makes)
        if len(read) == 1:
            reads = _fitting(root[_columns(made[0], read[0])], reads)
    return Wired(layer, makes, reads, raw)


def _fitting(ids: Ids, none: Ids) -> Ids:
    return ids if ids.shape == none.shape else none


def _columns(made: Use, read: Use) -> Ids:
    """Ids along the second axis of `made.rows()`."""
    shape = made.constant.shape
    along = read.ids.reshape([-1 if k == read.axis else 1 for k in range(len(shape))])
    grid = np.broadcast_to(along, [1 if k == made.axis else d for k, d in enumerate(shape)])
    return np.moveaxis(grid, made.axis, 0).reshape(-1)
