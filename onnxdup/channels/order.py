"""Nodes in dependency order."""

from __future__ import annotations

from heapq import heappop, heappush

from onnxdup.errors import InputError
from onnxdup.graph import Document, Node


def in_order(document: Document) -> list[Node]:
    """Nodes in dependency order; sorted graphs stay as they are. InputError for a cycle."""
    nodes = document.nodes
    made = {o: k for k, n in enumerate(nodes) for o in n.outputs if o}
    needs = [{made[x] for x in (*n.inputs, *n.captured) if x in made} for n in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for reader, needed in enumerate(needs):
        for k in needed:
            readers[k].append(reader)
    missing = [len(needed) for needed in needs]
    ready = [k for k, count in enumerate(missing) if not count]  # ascending, hence a heap
    out = []
    while ready:
        k = heappop(ready)
        out.append(nodes[k])
        for r in readers[k]:
            missing[r] -= 1
            if not missing[r]:
                heappush(ready, r)
    if len(out) < len(nodes):
        stuck = next(n for n, count in zip(nodes, missing, strict=True) if count)
        raise InputError("the graph is cyclic", file=document.path, node=stuck.name)
    return out
