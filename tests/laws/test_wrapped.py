"""Every architecture inside the branches of an If, its weights outside: what is free there obeys the laws."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from laws import surgeon
from laws.bench import merged, random_of
from laws.oracle import relative_error, run_runtime
from laws.test_captured import copy, rearranged
from onnx import parser

from onnxdup.channels import trace
from onnxdup.graph import load
from onnxdup.reduce import merge

NAMES = [n for n, e in sorted(ARCHITECTURES.items()) if not e.listed and e.ir >= 8]
SOME = NAMES if os.environ.get("ONNXDUP_HYPOTHESIS") == "thorough" else NAMES[::5]
FREED = 100
"""Of these at least so many have free groups inside the branches."""


def wrapped(name: str, outside: bool) -> onnx.ModelProto:
    """y = If(k) with the architecture in both branches; with `outside` a third time in the main graph."""
    entry = ARCHITECTURES[name]
    model = entry.model()
    graph, nodes, outputs = model.graph, list(model.graph.node), list(model.graph.output)
    constants = [n for n in nodes if n.op_type == "Constant"]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.output[:], made.graph.value_info[:]
    made.graph.input.append(parser.parse_graph("g (bool choice) => () {}").input[0])
    made.graph.node.extend(constants)
    owner = onnx.NodeProto(op_type="If", name="choose", input=["choice"])
    for which in ("then_branch", "else_branch"):
        body = onnx.GraphProto(name=which)
        body.node.extend(renamed([n for n in nodes if n not in constants], f"{which}/"))
        body.output.extend(outputs)
        for value in body.output:
            value.name = f"{which}/{value.name}"
        owner.attribute.append(onnx.helper.make_attribute(which, body))
    owner.output.extend(f"chosen/{v.name}" for v in outputs)
    made.graph.node.append(owner)
    for value in outputs:
        made.graph.output.add().CopyFrom(value)
        made.graph.output[-1].name = f"chosen/{value.name}"
    if outside:
        made.graph.node.extend(n for n in nodes if n not in constants)
        made.graph.output.extend(outputs)
    assert graph.node
    return made


def renamed(nodes: list[onnx.NodeProto], prefix: str) -> list[onnx.NodeProto]:
    """Copies with other names for what they make."""
    own = {o for n in nodes for o in n.output if o}
    out = []
    for node in nodes:
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.name = prefix + node.name
        new.input[:] = [prefix + x if x in own else x for x in node.input]
        new.output[:] = [prefix + x if x else x for x in node.output]
        for attribute in new.attribute:
            if attribute.HasField("g"):
                _rename_captures(attribute.g, own, prefix)
        out.append(new)
    return out


def _rename_captures(graph: onnx.GraphProto, own: set[str], prefix: str) -> None:
    for node in graph.node:
        node.input[:] = [prefix + x if x in own else x for x in node.input]


def error(name: str, before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    """Over both branches."""
    feeds = [{**ARCHITECTURES[name].feeds(), "choice": np.array(k)} for k in (True, False)]
    return max(relative_error(run_runtime(before, f), run_runtime(after, f)) for f in feeds)


def free_groups(made: onnx.ModelProto) -> list[Any]:
    found = [g for g in trace(load(made)).groups if g.frozen is None and g.size >= 2]
    return [g for g in found if all(surgeon.is_stored(made, b.tensor) for b in g.bindings)]


def test_enough_is_free() -> None:
    assert sum(bool(free_groups(wrapped(name, False))) for name in NAMES) >= FREED


@pytest.mark.parametrize("outside", [False, True], ids=["inside", "also outside"])
@pytest.mark.parametrize("name", SOME)
def test_planted_copies_go(name: str, outside: bool) -> None:
    made = wrapped(name, outside)
    groups = [g for g in free_groups(made) if not any(b.private for b in g.bindings)]
    for group in groups:
        made = rearranged(made, group, copy(group, 0, 1), rows_only=True)
    found = merge(load(made))
    if groups:
        assert found.removed >= len(groups)
    assert error(name, made, merged(made)) <= max(ARCHITECTURES[name].tolerance, 2e-5)


@pytest.mark.parametrize("outside", [False, True], ids=["inside", "also outside"])
@pytest.mark.parametrize("name", SOME)
def test_duplicates_in_some_tensors_do_no_harm(name: str, outside: bool) -> None:
    made, rng = wrapped(name, outside), random_of(name, outside)
    surgeon.copy_some(made, rng, spared=0.3, least=6)
    assert error(name, made, merged(made)) <= max(ARCHITECTURES[name].tolerance, 2e-5)
