"""QDQ models of onnxruntime's quantiser: copies merge on the integers, outputs stay the same bit by bit."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType
from quantised.qdq import COPIES, HIDDEN, TEXT, inputs, quantise, run, tensor

from onnxdup import api
from onnxdup.channels import trace
from onnxdup.graph import load, write
from onnxdup.reduce import Reduction, merge

INT8, UINT8 = QuantType.QInt8, QuantType.QUInt8
SETTINGS = [
    pytest.param(name, per_channel, weights, activations, id=f"{name}-{per_channel}-{weights}-{activations}")
    for name, per_channel, (weights, activations) in product(
        TEXT, (False, True), ((INT8, INT8), (INT8, UINT8), (UINT8, UINT8))
    )
]


def merged(model: onnx.ModelProto, folder: Path) -> tuple[Reduction, onnx.ModelProto]:
    """The exact pass, and the file that it writes."""
    reduction = merge(load(model))
    path = write(reduction.document, folder / "small.onnx")[0]
    small = onnx.load(path)
    onnx.checker.check_model(small, full_check=True)
    return reduction, small


@pytest.mark.parametrize(("name", "per_channel", "weights", "activations"), SETTINGS)
def test_copies_merge_and_outputs_are_equal(
    tmp_path: Path, name: str, per_channel: bool, weights: QuantType, activations: QuantType
) -> None:
    options = {"per_channel": per_channel, "weight_type": weights, "activation_type": activations}
    model = quantise(tmp_path, name, room=0.05, **options)
    reduction, small = merged(model, tmp_path)
    assert reduction.removed == len(COPIES) * HIDDEN[name]
    assert [n.op_type for n in small.graph.node] == [n.op_type for n in model.graph.node]
    feeds = inputs(name, 64)
    for fused in (True, False):
        before, after = run(model, feeds, fused=fused), run(small, feeds, fused=fused)
        assert np.array_equal(before[0], after[0])


@pytest.mark.parametrize("per_channel", [False, True])
def test_scales_zero_points_and_biases_follow(tmp_path: Path, per_channel: bool) -> None:
    model = quantise(tmp_path, "mlp", room=0.05, per_channel=per_channel)
    _, small = merged(model, tmp_path)
    keep = [0, 1, 2, 4, 7]
    assert np.array_equal(tensor(small, "w1_quantized"), tensor(model, "w1_quantized")[keep])
    assert np.array_equal(tensor(small, "b1_quantized"), tensor(model, "b1_quantized")[keep])
    if per_channel:
        assert np.array_equal(tensor(small, "w1_scale"), tensor(model, "w1_scale")[keep])
        assert np.array_equal(tensor(small, "b1_quantized_scale"), tensor(model, "b1_quantized_scale")[keep])
    assert {t.data_type for t in small.graph.initializer} == {t.data_type for t in model.graph.initializer}


def test_columns_are_summed_about_the_zero_point(tmp_path: Path) -> None:
    model = quantise(tmp_path, "mlp", room=0.05, weight_type=UINT8, activation_type=UINT8)
    _, small = merged(model, tmp_path)
    old, new = (tensor(m, "w3_quantized").astype(int) for m in (model, small))
    zero = int(tensor(model, "w3_zero_point"))
    assert zero != 0
    assert np.array_equal(new[:, 0], old[:, 0] + old[:, 3] - zero)
    assert np.array_equal(new[:, 1], old[:, 1] + old[:, 5] + old[:, 6] - 2 * zero)


def test_sums_that_do_not_fit_stay_with_the_reason(tmp_path: Path) -> None:
    """100 + 60 is too much for int8; 60 + 60 is not, but 60 + 60 + 20 is."""
    model = quantise(tmp_path, "mlp", room=0.05, per_channel=True)
    codes = tensor(model, "w2_quantized").copy()
    codes[4, [0, 3, 1, 5, 6]] = 100, 60, 60, 60, 20
    stored = next(t for t in model.graph.initializer if t.name == "w2_quantized")
    stored.CopyFrom(numpy_helper.from_array(codes, stored.name))
    reduction, small = merged(model, tmp_path)
    left = [(p.dropped, p.kept) for p in reduction.left if p.group == "w1_quantized"]
    assert left == [(3, 0), (5, 1)]  # channel 6 is number 5 once channel 5 has gone
    assert {p.reason for p in reduction.left} == {"the sum does not fit int8"}
    sentence = "w1_quantized: 2 proven duplicates left, the sum does not fit int8"
    assert sentence in api.merge(model).report.notes
    assert tensor(small, "w1_quantized").shape[0] == 7
    for fused in (True, False):
        assert np.array_equal(*(run(m, inputs("mlp"), fused=fused)[0] for m in (model, small)))


@pytest.mark.parametrize("what", ["w1_scale", "b1_quantized", "w1_quantized"])
def test_near_copies_of_integers_stay(tmp_path: Path, what: str) -> None:
    """One scale, one bias code or one weight code apart: other filters."""
    model = quantise(tmp_path, "mlp", room=0.05, per_channel=True)
    stored = next(t for t in model.graph.initializer if t.name == what)
    array = numpy_helper.to_array(stored).copy()
    array[3] = np.nextafter(array[3], 1) if array.dtype.kind == "f" else array[3] + 1
    stored.CopyFrom(numpy_helper.from_array(array, what))
    reduction, _ = merged(model, tmp_path)
    dropped = {e.dropped for m in reduction.plan.rounds[0] if m.group == "w1_quantized" for e in m.entries}
    assert dropped == {5, 6}


def test_verify_and_ledger(tmp_path: Path) -> None:
    onnx.save(quantise(tmp_path, "cnn", room=0.05, per_channel=True), tmp_path / "q.onnx")
    done = api.merge(tmp_path / "q.onnx", output=tmp_path / "small.onnx")
    assert done.report.status == "passed"
    assert all(f.max_absolute_error == 0 for f in done.report.fidelity)
    assert api.verify(tmp_path / "q.onnx", tmp_path / "small.onnx").status == "passed"


def test_approximate_merging_leaves_integers(tmp_path: Path) -> None:
    model = quantise(tmp_path, "mlp", room=0.05)
    exact, near = merge(load(model)), merge(load(model), tau=0.5)
    assert near.removed == exact.removed > 0
    assert any("only exact duplicates" in note for note in near.notes)
    assert not any("only exact duplicates" in note for note in exact.notes)


def test_an_axis_of_another_meaning_passes_copies_only() -> None:
    """Scales per position leave equal channels equal; blocks that mix channels do not pass."""
    groups = {g.name: g for g in trace(load(per_position())).groups}
    assert groups["w1"].frozen is None
    assert groups["w1"].symmetry.name == "COPY"
    blocked = per_position()
    for node in blocked.graph.node[2:4]:
        node.attribute.append(onnx.helper.make_attribute("block_size", 2))
    assert "in blocks" in str({g.name: g for g in trace(load(blocked)).groups}["w1"].frozen)


def per_position() -> onnx.ModelProto:
    """Gemm, Relu, quantised per sample, Gemm."""
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 21]>
        g (float[2,12] x, float[8,12] w1, float[4,8] w2) => (float[2,4] y)
        { a=Gemm<transB=1>(x,w1) r=Relu(a) q=QuantizeLinear<axis=0>(r,s,z) d=DequantizeLinear<axis=0>(q,s,z)
          y=Gemm<transB=1>(d,w2) }"""
    )
    rng = np.random.default_rng(0)
    del model.graph.input[1:]
    shapes = {"w1": (8, 12), "w2": (4, 8)}
    arrays = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    arrays |= {"s": np.array([0.01, 0.02], np.float32), "z": np.zeros(2, np.uint8)}
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in arrays.items())
    return model
