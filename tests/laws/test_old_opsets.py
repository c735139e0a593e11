# ruff: noqa: E501 - a graph per line
"""Operator sets before 7: the old forms obey the laws, and what could train or is unclear stays."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from architectures.base import Positive, Weight, draw, positive
from laws import surgeon
from laws.bench import serialise
from laws.modernise import modernised
from laws.oracle import relative_error, run_runtime
from laws.test_captured import copy
from onnx import helper, numpy_helper, parser

from onnxdup.channels import trace
from onnxdup.graph import load
from onnxdup.reduce import Reduction, merge

CONV = "a4=Conv<pads=[1,1,1,1]>(x4,w1,b1)"
END = "g4=GlobalAveragePool({0}) f2=Flatten(g4) y2=Gemm<transB=1,broadcast=1>(f2,w9,b9)"
IMAGE: dict[str, Weight] = {"w1": (12, 3, 3, 3), "b1": (12,), "w9": (5, 12), "b9": (5,)}
BN: dict[str, Weight] = {"ga": positive(12), "be": (12,), "me": (12,), "va": positive(12)}
FLAT: dict[str, Weight] = {"w1": (16, 20), "b1": (16,), "w9": (5, 16), "b9": (5,)}
DENSE = "a2=Gemm<transB=1,broadcast=1>(x2,w1,b1)"
LAST = "y2=Gemm<transB=1,broadcast=1>({0},w9,b9)"
FREE: dict[str, tuple[str, Mapping[str, Weight]]] = {
    "relu": (f"{CONV} r4=Relu(a4) {END.format('r4')}", IMAGE),
    "hints": (f"{CONV} r4=Relu(a4) s4=Sigmoid(r4) {END.format('s4')}", IMAGE),
    "bias on axis 1": (
        f"c4=Conv(x4,w1) a4=Add<broadcast=1,axis=1>(c4,b1) r4=Relu(a4) {END.format('r4')}",
        IMAGE,
    ),
    "scale on axis 1": (
        f"{CONV} m4=Mul<broadcast=1,axis=1>(a4,s) d4=Div<broadcast=1,axis=1>(m4,v) r4=Relu(d4) {END.format('r4')}",
        {**IMAGE, "s": positive(12), "v": positive(12)},
    ),
    "one bias for two": (
        f"{CONV} m4=Add<broadcast=1,axis=1>(a4,s) r4=Relu(m4) d4=Sub<broadcast=1,axis=1>(r4,s) t4=Tanh(d4) {END.format('t4')}",
        {**IMAGE, "s": (12,)},
    ),
    "number": (
        f"{CONV} m4=Mul<broadcast=1>(a4,k) r4=Relu(m4) {END.format('r4')}",
        {**IMAGE, "k": np.array([0.7], np.float32)},
    ),
    "channels and rows": (
        f"{CONV} m4=Mul<broadcast=1,axis=1>(a4,s) r4=Relu(m4) {END.format('r4')}",
        {**IMAGE, "s": positive(12, 8)},
    ),
    "power": (
        f"{CONV} r4=Relu(a4) p4=Pow<broadcast=1>(r4,k) {END.format('p4')}",
        {**IMAGE, "k": np.array([2.0], np.float32)},
    ),
    "normalised": (
        f"{CONV} n4=BatchNormalization<is_test=1>(a4,ga,be,me,va) r4=Relu(n4) {END.format('r4')}",
        {**IMAGE, **BN},
    ),
    "dropped": (f"{CONV} r4=Relu(a4) o4=Dropout<is_test=1>(r4) {END.format('o4')}", IMAGE),
    "slopes": (f"{CONV} r4=PRelu(a4,s) {END.format('r4')}", {**IMAGE, "s": positive(12)}),
    "one slope": (f"{CONV} r4=PRelu(a4,s) {END.format('r4')}", {**IMAGE, "s": positive(1)}),
    "residual": (
        f"{CONV} r4=Relu(a4) c4=Conv(r4,w2,b2) s4=Add(r4,c4) t4=Relu(s4) {END.format('t4')}",
        {**IMAGE, "w2": (12, 12, 1, 1), "b2": (12,)},
    ),
    "gate": (
        f"{CONV} c4=Conv<pads=[1,1,1,1]>(x4,w2,b2) s4=Sigmoid(c4) m4=Mul(a4,s4) {END.format('m4')}",
        {**IMAGE, "w2": (12, 3, 3, 3), "b2": (12,)},
    ),
    "summed": (
        f"{CONV} c4=Conv<pads=[1,1,1,1]>(x4,w2,b2) m4=Sum(a4,c4) r4=Relu(m4) {END.format('r4')}",
        {**IMAGE, "w2": (12, 3, 3, 3), "b2": (12,)},
    ),
    "concatenated": (
        f"{CONV} r4=Relu(a4) c4=Conv<pads=[1,1,1,1]>(x4,w2,b2) t4=Tanh(c4) k4=Concat<axis=1>(r4,t4) {END.format('k4')}",
        {**IMAGE, "w2": (6, 3, 3, 3), "b2": (6,), "w9": (5, 18)},
    ),
    "pooled": (
        f"{CONV} r4=Relu(a4) p4=MaxPool<kernel_shape=[2,2],strides=[2,2]>(r4) q4=AveragePool<kernel_shape=[2,2],pads=[1,1,1,1]>(p4) {END.format('q4')}",
        IMAGE,
    ),
    "instances": (
        f"{CONV} n4=InstanceNormalization(a4,ga,be) r4=Relu(n4) {END.format('r4')}",
        {**IMAGE, "ga": positive(12), "be": (12,)},
    ),
    "dense": (f"{DENSE} r2=Relu(a2) {LAST.format('r2')}", FLAT),
    "dense suffix": (
        f"m2=MatMul(x2,w0) a2=Add<broadcast=1>(m2,b1) r2=Relu(a2) {LAST.format('r2')}",
        {**FLAT, "w0": (20, 16)},
    ),
    "dense axis 1": (
        f"m2=MatMul(x2,w0) a2=Add<broadcast=1,axis=1>(m2,b1) r2=Relu(a2) {LAST.format('r2')}",
        {**FLAT, "w0": (20, 16)},
    ),
    "clipped": (f"{CONV} r4=Clip<min=0.0,max=6.0>(a4) {END.format('r4')}", IMAGE),
    "leaky": (f"{CONV} r4=LeakyRelu<alpha=0.2>(a4) e4=Elu(r4) {END.format('e4')}", IMAGE),
    "depthwise": (
        f"{CONV} r4=Relu(a4) d4=Conv<group=12>(r4,w3,b3) t4=Relu(d4) {END.format('t4')}",
        {**IMAGE, "w3": (12, 1, 3, 3), "b3": (12,)},
    ),
}
FROZEN: dict[str, tuple[str, Mapping[str, Weight], str]] = {
    "batches train": (
        f"{CONV} n4=BatchNormalization(a4,ga,be,me,va) r4=Relu(n4) {END.format('r4')}",
        {**IMAGE, **BN},
        "is_test",
    ),
    "dropout trains": (f"{CONV} r4=Relu(a4) o4=Dropout(r4) {END.format('o4')}", IMAGE, "is_test"),
    "activation on an axis": (
        f"{CONV} v4=GlobalAveragePool(a4) u2=Flatten(v4) m4=Mul<broadcast=1,axis=0>(a4,u2) {END.format('m4')}",
        IMAGE,
        "along an axis",
    ),
    "no broadcast": (
        f"c4=Conv(x4,w1) a4=Add(c4,b1) r4=Relu(a4) {END.format('r4')}",
        IMAGE,
        "without broadcast",
    ),
    "wrong axis": (
        f"c4=Conv(x4,w1) a4=Add<broadcast=1,axis=2>(c4,b1) r4=Relu(a4) {END.format('r4')}",
        IMAGE,
        "do not fit",
    ),
    "selu": (f"{CONV} r4=Selu(a4) {END.format('r4')}", IMAGE, "Selu"),
}


def model(text: str, weights: Mapping[str, Weight], opset: int = 6) -> onnx.ModelProto:
    head = f'<ir_version: 3, opset_import: ["": {opset}]>\n'
    value = "float[2,20] x2" if "x2" in text else "float[2,3,8,8] x4"
    made = parser.parse_model(head + f"g ({value}) => (float[2,5] y2) {{ {text} }}")
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    for name, spec in weights.items():
        if name in text:
            tensor = numpy_helper.from_array(draw(spec, rng, np.dtype(np.float32)), name)
            made.graph.initializer.append(tensor)
            made.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
    for index, node in enumerate(made.graph.node):
        node.name = f"{node.op_type}_{index}"
    return made


def error(before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    shape = [d.dim_value for d in before.graph.input[0].type.tensor_type.shape.dim]
    feeds = {before.graph.input[0].name: np.random.default_rng(5).normal(size=shape).astype(np.float32)}
    return relative_error(run_runtime(modernised(before), feeds), run_runtime(modernised(after), feeds))


def free_groups(made: onnx.ModelProto) -> list[Any]:
    return [g for g in trace(load(made)).groups if g.frozen is None]


def planted(made: onnx.ModelProto, group: Any, order: np.ndarray, rows_only: bool) -> onnx.ModelProto:
    """Rows (and columns) in another order, in the tensor that each binding names."""
    made = surgeon.copy_of(made)
    done = set()
    for binding in group.bindings:
        if (rows_only and binding.role.name == "CONSUMER") or (binding.tensor, binding.axis) in done:
            continue
        done.add((binding.tensor, binding.axis))
        tensor = surgeon.read(made, binding.tensor).copy()
        rows = surgeon.by_channel(tensor, binding)
        rows[binding.index] = rows[binding.index[order]]
        surgeon.store(made, binding.tensor, tensor)
    return made


def reduced(made: onnx.ModelProto) -> tuple[Reduction, onnx.ModelProto]:
    found = merge(load(made))
    small = onnx.ModelProto.FromString(serialise(found.document))
    onnx.checker.check_model(small)
    assert error(made, small) <= 2e-5
    return found, small


@pytest.mark.parametrize("name", FREE)
def test_permutation_changes_nothing(name: str) -> None:
    made = model(*FREE[name])
    onnx.checker.check_model(made)
    groups = free_groups(made)
    assert groups, [(g.name, str(g.frozen)) for g in trace(load(made)).groups]
    for group in groups:
        moved = planted(made, group, np.roll(np.arange(group.size), 1), rows_only=False)
        assert serialise(load(moved)) != serialise(load(made))
        assert error(made, moved) <= 2e-5


@pytest.mark.parametrize("name", FREE)
def test_planted_copies_go(name: str) -> None:
    made = model(*FREE[name])
    groups = free_groups(made)
    for group in groups:
        made = planted(made, group, copy(group, 2, 5), rows_only=True)
    found, small = reduced(made)
    assert found.removed == len(groups)
    declared = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in small.graph.input}
    assert all(declared[t.name] == tuple(t.dims) for t in small.graph.initializer)
    assert small.opset_import[0].version == 6


@pytest.mark.parametrize("name", [*FREE, *(n for n in FROZEN if n in ("selu", "dropout trains"))])
@pytest.mark.parametrize("seed", range(3))
def test_copies_in_some_tensors_do_no_harm(name: str, seed: int) -> None:
    text, weights = {**FREE, **FROZEN}[name][:2]
    made = model(text, weights)
    rng = np.random.default_rng(seed)
    for tensor in made.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if rng.random() < 0.7:
            for axis in (k for k in range(values.ndim) if values.shape[k] >= 6):
                np.moveaxis(values, axis, 0)[4] = np.moveaxis(values, axis, 0)[1]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    if name != "dropout trains":
        reduced(made)
    else:
        assert not merge(load(made)).changed


@pytest.mark.parametrize("name", FROZEN)
def test_what_is_unclear_stays(name: str) -> None:
    text, weights, why = FROZEN[name]
    made = model(text, weights)
    rows = [t for t in made.graph.initializer if t.name in ("w1", "b1")]
    for tensor in rows:
        values = numpy_helper.to_array(tensor).copy()
        values[5] = values[2]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    (group,) = (g for g in trace(load(made)).groups if g.name == "w1")
    assert group.frozen is not None and why in group.frozen.reason, str(group.frozen)
    assert not merge(load(made)).changed


def test_a_file_without_operator_sets() -> None:
    """What means the same in every version is followed; the rest is not."""
    for name, free in (("relu", True), ("residual", True), ("normalised", False), ("slopes", False)):
        made = model(*FREE[name])
        del made.opset_import[:]
        groups = trace(load(made)).groups
        assert any(g.frozen is None for g in groups) == free, [str(g.frozen) for g in groups]


def test_consumed_inputs_are_hints() -> None:
    made = model(*FREE["hints"], opset=1)
    for node in made.graph.node:
        if node.op_type in ("Relu", "Sigmoid"):
            node.attribute.append(helper.make_attribute("consumed_inputs", [0]))
    for group in free_groups(made):
        made = planted(made, group, copy(group, 2, 5), rows_only=True)
    found, _ = reduced(made)
    assert found.removed == 1
    assert isinstance(BN["ga"], Positive)
