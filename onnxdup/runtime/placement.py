"""Which execution provider runs which node: the proof behind "this ran on the GPU".

Pure functions over onnxruntime's assignment records (`get_provider_graph_assignment_info`, onnxruntime >=
1.24), so that they can be tested without a GPU. A record has `ep_name` and `get_nodes()`; a node has `name`,
`op_type`, `domain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"

HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedMatMul", "FusedGemm"})
"""Operators that must be on the GPU for a run to count as a GPU run (shape arithmetic on the CPU is normal).
"""


@dataclass(frozen=True)
class AssignedNode:
    """A node as onnxruntime names it in an assignment record."""

    name: str
    op_type: str
    domain: str = ""

    def __str__(self) -> str:
        return f"{self.op_type} {self.name}" if self.name else self.op_type


@dataclass(frozen=True)
class Placement:
    """Nodes per execution provider, nodes of subgraphs included; empty when onnxruntime keeps no record."""

    nodes: Mapping[str, tuple[AssignedNode, ...]]

    @property
    def total(self) -> int:
        """The number of nodes on record."""
        return sum(len(nodes) for nodes in self.nodes.values())

    def heavy_outside(self, provider: str) -> tuple[AssignedNode, ...]:
        """The `HEAVY` nodes that another provider than `provider` runs."""
        return tuple(
            node
            for name, nodes in self.nodes.items()
            if name != provider
            for node in nodes
            if node.op_type in HEAVY
        )

    def summary(self) -> str:
        """One line: ``62 of 64 nodes on CUDA; CPU: Gather, Shape``."""
        if not self.nodes:
            return "onnxruntime keeps no record of node assignment"
        ranked = sorted(self.nodes, key=lambda name: (name == CPU, name))
        first, others = ranked[0], ranked[1:]
        head = f"{len(self.nodes[first])} of {self.total} nodes on {short_name(first)}"
        return "; ".join([head, *(f"{short_name(name)}: {_op_types(self.nodes[name])}" for name in others)])


def short_name(provider: str) -> str:
    """`CUDAExecutionProvider` -> `CUDA`."""
    return provider.removesuffix("ExecutionProvider")


def parse_records(records: Iterable[Any]) -> Placement:
    """Gather onnxruntime's assignment records (one per assigned subgraph) by provider, in their order."""
    nodes: dict[str, list[AssignedNode]] = {}
    for record in records:
        found = nodes.setdefault(record.ep_name, [])
        found.extend(AssignedNode(n.name, n.op_type, n.domain) for n in record.get_nodes())
    return Placement({name: tuple(found) for name, found in nodes.items()})


def gpu_gap(placement: Placement) -> str | None:
    """Why `placement` does not prove a GPU run, or None where every heavy node is on CUDA."""
    if not placement.nodes:
        return "this onnxruntime keeps no record of node assignment, so use of the GPU cannot be proven"
    outside = placement.heavy_outside(CUDA)
    if not outside:
        return None
    shown = ", ".join(str(node) for node in outside[:3])
    more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
    return f"{len(outside)} of the heavy nodes are not on the GPU: {shown}{more}"


def _op_types(nodes: Iterable[AssignedNode]) -> str:
    return ", ".join(sorted({node.op_type for node in nodes}))
