"""The laws at the edges: stale shapes in the file, broken numbers, sums that overflow, wide copies."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from laws import surgeon
from laws.bench import error_32, free_groups, merged, plant_everywhere
from laws.oracle import relative_error, run_runtime
from onnx import numpy_helper, parser, shape_inference

from onnxdup.channels import trace
from onnxdup.graph import load

SHAPED = [n for n, e in sorted(ARCHITECTURES.items()) if not e.domains]


@pytest.mark.parametrize("name", SHAPED)
def test_shapes_in_the_file_follow(name: str) -> None:
    entry = ARCHITECTURES[name]
    planted = plant_everywhere(name, entry.model(), scaled=False).model
    shaped = shape_inference.infer_shapes(planted, data_prop=True)
    small = merged(shaped)
    onnx.checker.check_model(small, full_check=True)
    assert error_32(entry, shaped, small) <= entry.tolerance


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_broken_rows_stay(bad: float) -> None:
    """Two rows that are equal but for a broken number are not merged; a sound pair beside them is."""
    entry = ARCHITECTURES["gemm_no_bias"]
    model = surgeon.plant(entry.model(), free_groups("gemm_no_bias")[0], 0, 1)
    rows = surgeon.read(model, "w1").copy()
    rows[3] = rows[2]
    rows[3, 0] = bad
    surgeon.store(model, "w1", rows)
    small = merged(model)
    assert relative_error(run_runtime(model, entry.feeds()), run_runtime(small, entry.feeds())) < 1e-5
    assert surgeon.read(small, "w1").shape == (15, 20)
    assert not np.isfinite(surgeon.read(small, "w1")).all()


def test_float16_sums_do_not_overflow() -> None:
    """Copies whose outgoing weights would add up beyond 65504 must not turn outputs into infinities."""
    entry = ARCHITECTURES["float16"]
    model, group = entry.model(), free_groups("float16")[0]
    columns = surgeon.read(model, "w9").copy()
    columns[:, :3] = np.float16(30000)
    surgeon.store(model, "w9", columns)
    for name in ("w1", "b1"):
        surgeon.store(model, name, (surgeon.read(model, name) * np.float16(2**-12)).astype(np.float16))
    for target in (1, 2):
        model = surgeon.plant(model, group, 0, target)
    before, after = run_runtime(model, entry.feeds()), run_runtime(merged(model), entry.feeds())
    assert np.isfinite(before["y"]).all()
    assert relative_error(before, after) <= entry.tolerance


def test_a_layer_of_copies_keeps_one_filter() -> None:
    entry = ARCHITECTURES["mlp"]
    model, group = entry.model(), free_groups("mlp")[0]
    for target in range(1, group.size):
        model = surgeon.plant(model, group, 0, target, 0.5 + target)
    small = merged(model)
    assert surgeon.read(small, "w1").shape == (1, 20)
    assert error_32(entry, model, small) <= entry.tolerance


def test_a_dead_layer_keeps_one_filter() -> None:
    entry = ARCHITECTURES["mlp"]
    model = entry.model()
    for name in ("w1", "b1"):
        surgeon.store(model, name, np.zeros_like(surgeon.read(model, name)))
    small = merged(model)
    onnx.checker.check_model(small, full_check=True)
    assert error_32(entry, model, small) <= entry.tolerance
    assert surgeon.read(small, "w1").shape[0] >= 1


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20, 2.0**100, 1e30])
def test_extreme_scales(scale: float) -> None:
    check_extreme(scale)


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-100, 1e-30])
def test_extreme_scales_before_a_small_reader(scale: float) -> None:
    check_extreme(scale)


def check_extreme(scale: float) -> None:
    """A multiple by an extreme factor whose reader makes up for it."""
    entry = ARCHITECTURES["mlp"]
    group = free_groups("mlp")[0]
    model = surgeon.plant(entry.model(), group, 0, 1, scale)
    columns = surgeon.read(model, "w2").copy()
    columns[1] = (columns[1].astype(np.float64) / scale).astype(np.float32)
    surgeon.store(model, "w2", columns)
    small = merged(model)
    assert error_32(entry, model, small) <= entry.tolerance
    assert surgeon.read(small, "w1").shape == (15, 20)


def test_large_weights_do_not_hide_biases() -> None:
    """Inputs near 2^-24, weights near 2^24: biases that differ by 0.1 are different filters."""
    entry = ARCHITECTURES["mlp"]
    model = surgeon.plant(entry.model(), free_groups("mlp")[0], 0, 1)
    surgeon.store(model, "w1", surgeon.read(model, "w1") * np.float32(2**24))
    bias = surgeon.read(model, "b1").copy()
    bias[1] += np.float32(0.1)
    surgeon.store(model, "b1", bias)
    feeds = {"x": entry.feeds()["x"] * np.float32(2**-24)}
    assert relative_error(run_runtime(model, feeds), run_runtime(merged(model), feeds)) <= entry.tolerance


def test_broadcasting_of_opset_6() -> None:
    text = (
        '<ir_version: 3, opset_import: ["": 6]> g (float[N,3,8,8] x, float[6,3,3,3] w1, float[6] c1, '
        "float[5,6] w9, float[5] b9) => (float[N,5] y) { a=Conv(x,w1) t=Add<axis=1,broadcast=1>(a,c1) "
        "r=Relu(t) p=GlobalAveragePool(r) f=Flatten(p) y=Gemm<transB=1,broadcast=1>(f,w9,b9) }"
    )
    model = parser.parse_model(text)
    for value in model.graph.input[1:]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), value.name))
    for group in trace(load(model)).groups:
        assert group.frozen or "c1" in {b.tensor for b in group.bindings}


def test_the_input_model_is_not_changed() -> None:
    model = plant_everywhere(
        "residual_batch_norm", ARCHITECTURES["residual_batch_norm"].model(), scaled=True
    ).model
    before = model.SerializeToString(deterministic=True)
    assert merged(model).SerializeToString(deterministic=True) != before
    assert model.SerializeToString(deterministic=True) == before


def test_names_and_metadata_survive() -> None:
    model = plant_everywhere(
        "residual_identity", ARCHITECTURES["residual_identity"].model(), scaled=True
    ).model
    model.producer_name, model.doc_string = "laws", "kept"
    model.metadata_props.add(key="a", value="b")
    model.graph.node[0].metadata_props.add(key="scope", value="stem")
    small = merged(model)
    assert (small.producer_name, small.doc_string) == ("laws", "kept")
    assert {"a": "b"}.items() <= {p.key: p.value for p in small.metadata_props}.items()
    assert small.graph.node[0].metadata_props[0].value == "stem"
    assert [n.name for n in small.graph.node] == [n.name for n in model.graph.node]
    assert [t.name for t in small.graph.initializer] == [t.name for t in model.graph.initializer]
    assert {numpy_helper.to_array(t).dtype for t in small.graph.initializer} == {np.dtype(np.float32)}


def test_long_rows_in_float64() -> None:
    """All multiples of rows with 4000 entries are found in float64 as in float32."""
    rng = np.random.default_rng(0)
    text = (
        '<ir_version: 8, opset_import: ["": 17]> g (double[N,4000] x) => (double[N,5] y) '
        "{ a=Gemm<transB=1>(x,w1) r=Relu(a) y=Gemm<transB=1>(r,w9) }"
    )
    rows = rng.normal(size=(16, 4000))
    rows[1::2] = rows[0::2] * rng.uniform(0.3, 3.0, (8, 1))
    model = parser.parse_model(text)
    for name, array in {"w1": rows, "w9": rng.normal(size=(5, 16))}.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    assert surgeon.read(merged(model), "w1").shape == (8, 4000)
