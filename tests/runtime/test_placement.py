"""Parsing of assignment records, with fakes in place of onnxruntime's."""

from __future__ import annotations

from dataclasses import dataclass

from onnxdup.runtime.placement import CPU, CUDA, Placement, gpu_gap, parse_records


@dataclass
class FakeNode:
    name: str
    op_type: str
    domain: str = ""


@dataclass
class FakeRecord:
    ep_name: str
    nodes: list[FakeNode]

    def get_nodes(self) -> list[FakeNode]:
        return self.nodes


MIXED = [
    FakeRecord(CPU, [FakeNode("s", "Shape"), FakeNode("", "Gather")]),
    FakeRecord(CUDA, [FakeNode("c1", "Conv"), FakeNode("r", "Relu")]),
    FakeRecord(CUDA, [FakeNode("fc", "Gemm")]),
]


def test_records_are_gathered_by_provider() -> None:
    placement = parse_records(MIXED)
    assert [n.name for n in placement.nodes[CUDA]] == ["c1", "r", "fc"]
    assert placement.total == 5
    assert placement.summary() == "3 of 5 nodes on CUDA; CPU: Gather, Shape"


def test_shape_arithmetic_on_the_cpu_leaves_the_proof_whole() -> None:
    assert gpu_gap(parse_records(MIXED)) is None


def test_a_heavy_node_on_the_cpu_breaks_the_proof_by_name() -> None:
    records = [*MIXED, FakeRecord(CPU, [FakeNode("head", "MatMul"), FakeNode("", "ConvTranspose")])]
    gap = gpu_gap(parse_records(records))
    assert gap == "2 of the heavy nodes are not on the GPU: MatMul head, ConvTranspose"


def test_long_lists_are_cut() -> None:
    gap = gpu_gap(parse_records([FakeRecord(CPU, [FakeNode(f"c{i}", "Conv") for i in range(9)])]))
    assert gap is not None
    assert gap.endswith("Conv c0, Conv c1, Conv c2 and 6 more")


def test_no_record_proves_nothing() -> None:
    assert "cannot be proven" in (gpu_gap(Placement({})) or "")
    assert "no record" in Placement({}).summary()
