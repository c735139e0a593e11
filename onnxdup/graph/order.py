"""Topological order of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnx import NodeProto

from onnxdup.errors import UsageError
from onnxdup.graph.protos import captured_names


def is_sorted(nodes: Sequence[NodeProto]) -> bool:
    """Whether every node comes behind the nodes whose outputs it reads."""
    pending = {o for n in nodes for o in n.output if o}
    for node in nodes:
        if any(name in pending for name in _reads(node)):
            return False
        pending.difference_update(node.output)
    return True


def stable_sort(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """Topological order in which each node moves back no further than it must. UsageError for a cycle."""
    producer = {o: i for i, n in enumerate(nodes) for o in n.output if o}
    needs = [[producer[name] for name in _reads(n) if name in producer] for n in nodes]
    order: list[NodeProto] = []
    state = [0] * len(nodes)  # 0 new, 1 open, 2 placed
    for root in range(len(nodes)):
        stack = [root]
        while stack:
            i = stack[-1]
            waiting = [j for j in needs[i] if state[j] != 2]
            if state[i] == 0 and waiting:
                state[i] = 1
                stack += reversed(waiting)
                if any(state[j] == 1 for j in waiting):
                    raise UsageError("the edit makes the graph cyclic", node=nodes[i].name)
                continue
            stack.pop()
            if state[i] != 2:
                state[i] = 2
                order.append(nodes[i])
    return order


def _reads(node: NodeProto) -> Iterable[str]:
    return (*node.input, *captured_names(node))


def copied(node: NodeProto) -> NodeProto:
    """A node that no longer belongs to a graph."""
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy
