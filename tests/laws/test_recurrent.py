"""Exact lumping of hidden units: planted by the definition, found whole, the function kept (onnxruntime)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from laws import surgeon
from laws.bench import EXACT_64, error_32, error_64, merged, serialise
from laws.lumps import Classes, plant
from laws.oracle import relative_error, run_reference, run_runtime, widen

from onnxdup.channels import trace
from onnxdup.graph import load
from onnxdup.reduce import merge
from onnxdup.reporting.ledger import derive, ledger_of

ZOO = Path(os.environ.get("ONNXDUP_ZOO", Path(__file__).parents[2].parent / "shared" / "zoo"))
PAIRS: Classes = [{1: 1, 4: 1}]
COUPLED: Classes = [{0: 1, 3: 1, 5: 1}, {2: 1, 6: 1}]
"""Neither class holds without the other: their columns agree only as sums."""
OPPOSITE: Classes = [{1: 1, 6: -1}, {2: 1, 4: 1, 7: -1}]
FORWARD = {
    "lstm_sequence": "LSTM_0",
    "lstm_last_states": "LSTM_0",
    "lstm_reverse_with_peepholes_and_states": "LSTM_0",
    "lstm_without_bias_clipped": "LSTM_0",
    "lstm_sequence_lengths": "LSTM_0",
    "lstm_stacked": "LSTM_0",
    "dense_lstm_dense": "LSTM_3",
    "gru_linear_before_reset_0": "GRU_0",
    "gru_linear_before_reset_1": "GRU_0",
    "gru_last_state_reverse": "GRU_0",
    "rnn_tanh": "RNN_0",
}
BOTH = {
    "lstm_bidirectional": "LSTM_0",
    "lstm_final_states_of_both_directions": "LSTM_0",
    "gru_bidirectional_0": "GRU_0",
    "gru_bidirectional_1": "GRU_0",
}
ZERO_STATE = "lstm_zero_state_from_the_batch_size"


def hidden(model: onnx.ModelProto, node: str) -> int:
    """The hidden_size of a node, which its recurrence weight has too."""
    found = next(n for n in model.graph.node if n.name == node)
    size = next(a.i for a in found.attribute if a.name == "hidden_size")
    assert surgeon.read(model, found.input[2]).shape[2] == size
    return int(size)


def check(name: str, node: str, planted: onnx.ModelProto, drop: int) -> onnx.ModelProto:
    """`drop` units go and the outputs stay."""
    entry, small = ARCHITECTURES[name], merged(planted)
    onnx.checker.check_model(small, full_check=True)
    assert error_32(entry, planted, small) <= entry.tolerance
    assert hidden(planted, node) - hidden(small, node) == drop
    return small


@pytest.mark.parametrize(("name", "node"), FORWARD.items())
@pytest.mark.parametrize("classes", [PAIRS, COUPLED, OPPOSITE], ids=["pair", "coupled", "opposite"])
def test_planted_units_are_lumped(name: str, node: str, classes: Classes) -> None:
    planted = plant(ARCHITECTURES[name].model(), node, {0: classes})
    check(name, node, planted, sum(len(c) - 1 for c in classes))


@pytest.mark.parametrize("name", [n for n in FORWARD if ARCHITECTURES[n].reference])
@pytest.mark.parametrize("classes", [COUPLED, OPPOSITE], ids=["coupled", "opposite"])
def test_planted_units_are_lumped_in_float64(name: str, classes: Classes) -> None:
    node, entry = FORWARD[name], ARCHITECTURES[name]
    planted = plant(widen(entry.model()), node, {0: classes})
    small = merged(planted)
    assert error_64(entry, planted, small) <= EXACT_64
    assert hidden(planted, node) - hidden(small, node) == 3


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_opposite_units_need_odd_activations(activation: str) -> None:
    name = f"rnn_{activation}"
    model = ARCHITECTURES[name].model()
    check(name, "RNN_0", plant(model, "RNN_0", {0: [{1: 1, 6: -1}]}), 0)
    check(name, "RNN_0", plant(model, "RNN_0", {0: [{1: 1, 6: 1}]}), 1)


MULTIPLES: Classes = [{0: 1, 3: 0.4, 5: 2.5}, {2: 1, 6: 1.7}]
"""Coupled, and each unit a positive multiple of the first."""


def relu_net(activation: str = '["Relu"]', extra: str = "") -> onnx.ModelProto:
    """An RNN without saturation; its input and recurrence are small enough to stay bounded."""
    text = f"""<ir_version: 8, opset_import: ["": 17]>
    g (float[7,3,6] x) => (float[7,3,5] y) {{
      q,h=RNN<hidden_size=8, activations={activation}{extra}>(x,w1,r1,b1)
      s=Squeeze(q,one) y=MatMul(s,w9) }}"""
    model, rng = onnx.parser.parse_model(text), np.random.default_rng(4)
    for name, shape in {"w1": (1, 8, 6), "r1": (1, 8, 8), "b1": (1, 16), "w9": (8, 5)}.items():
        array = rng.normal(size=shape).astype(np.float32) / (4 if name == "r1" else 2)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "one"))
    model.graph.node[0].name = "RNN_0"
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize(
    ("activation", "extra", "drop"),
    [
        ('["Relu"]', "", 3),
        ('["LeakyRelu"]', ", activation_alpha=[0.2]", 3),
        ('["Relu"]', ", clip=0.5", 0),
        ('["Tanh"]', "", 0),
    ],
)
def test_multiples_are_lumped_where_everything_scales(activation: str, extra: str, drop: int) -> None:
    planted = plant(relu_net(activation, extra), "RNN_0", {0: MULTIPLES})
    source = load(planted)
    reduction = merge(source)
    small = onnx.ModelProto.FromString(serialise(reduction.document))
    feeds = {"x": np.random.default_rng(6).normal(size=(7, 3, 6)).astype(np.float32)}
    assert relative_error(run_runtime(planted, feeds), run_runtime(small, feeds)) <= 5e-6
    assert hidden(planted, "RNN_0") - hidden(small, "RNN_0") == drop
    if drop:
        assert derive(source, reduction.document, ledger_of(reduction.plan, 4.0)).status == "passed"


@pytest.mark.parametrize("tensor", ["w1", "r1", "b1"])
def test_a_nudged_multiple_stays(tensor: str) -> None:
    planted = plant(relu_net(), "RNN_0", {0: [{1: 1, 4: 0.6}]})
    array = surgeon.read(planted, tensor).copy()
    array[(0, 4, 2) if tensor != "b1" else (0, 4)] *= 1 + 1e-4
    surgeon.store(planted, tensor, array)
    small = merged(planted)
    assert hidden(planted, "RNN_0") == hidden(small, "RNN_0")


@pytest.mark.parametrize(("name", "node"), BOTH.items())
def test_directions_lump_their_own_units(name: str, node: str) -> None:
    planted = plant(ARCHITECTURES[name].model(), node, {0: COUPLED, 1: [{7: 1, 1: -1}, {0: 1, 2: 1, 3: 1}]})
    check(name, node, planted, 3)


@pytest.mark.parametrize(("name", "node"), BOTH.items())
def test_directions_lose_equally_many_units(name: str, node: str) -> None:
    model = ARCHITECTURES[name].model()
    check(name, node, plant(model, node, {0: COUPLED}), 0)
    apart = plant(plant(model, node, {0: [{0: 1, 3: 1}]}), node, {0: [{1: 1, 5: 1}], 1: [{2: 1, 6: -1}]})
    check(name, node, apart, 1)


def test_a_direction_gives_up_coupled_classes_together() -> None:
    planted = plant(ARCHITECTURES["lstm_bidirectional"].model(), "LSTM_0", {0: COUPLED, 1: [{2: 1, 6: 1}]})
    check("lstm_bidirectional", "LSTM_0", planted, 0)


def test_directions_with_half_of_their_units_each() -> None:
    halves = {0: [{0: 1, 1: 1}, {2: 1, 3: 1}, {4: 1, 5: 1}, {6: 1, 7: 1}]}
    halves[1] = [{7: 1, 0: 1}, {1: 1, 2: 1}, {3: 1, 4: 1}, {5: 1, 6: 1}]
    check(
        "lstm_bidirectional",
        "LSTM_0",
        plant(ARCHITECTURES["lstm_bidirectional"].model(), "LSTM_0", halves),
        4,
    )


@pytest.mark.parametrize("name", ["lstm_sequence", "gru_linear_before_reset_1", "rnn_tanh"])
@pytest.mark.parametrize("slot", [1, 2, 3])
def test_units_that_nearly_agree_stay(name: str, slot: int) -> None:
    node, model = FORWARD[name], ARCHITECTURES[name].model()
    planted = plant(model, node, {0: PAIRS})
    tensor = next(n for n in planted.graph.node if n.name == node).input[slot]
    array = surgeon.read(planted, tensor).copy()
    array.reshape(array.shape[1], -1)[4, 0] += 1e-3
    surgeon.store(planted, tensor, array)
    check(name, node, planted, 0)


@pytest.mark.parametrize("place", ["h0", "c0", "p1"])
def test_states_and_peepholes_must_agree(place: str) -> None:
    name = "lstm_reverse_with_peepholes_and_states"
    planted = plant(ARCHITECTURES[name].model(), "LSTM_0", {0: PAIRS})
    array = surgeon.read(planted, place).copy()
    array[..., 4] += 1e-3
    surgeon.store(planted, place, array)
    check(name, "LSTM_0", planted, 0)


def test_the_second_bias_of_a_gru_counts_where_the_reset_gate_multiplies_it() -> None:
    """Wb + Rb agrees, Wb and Rb do not."""
    for reset, drop in ((0, 1), (1, 0)):
        name = f"gru_linear_before_reset_{reset}"
        planted = plant(ARCHITECTURES[name].model(), "GRU_0", {0: PAIRS})
        bias = surgeon.read(planted, "b1").copy()
        bias[0, 2 * 8 + 4] += 0.25
        bias[0, 5 * 8 + 4] -= 0.25
        surgeon.store(planted, "b1", bias)
        check(name, "GRU_0", planted, drop)


def test_stacked_layers_lump_together() -> None:
    planted = plant(ARCHITECTURES["lstm_stacked"].model(), "LSTM_0", {0: COUPLED})
    planted = plant(planted, "LSTM_2", {0: [{0: 1, 5: -1}, {1: 1, 2: 1}]})
    small = check("lstm_stacked", "LSTM_0", planted, 3)
    assert hidden(small, "LSTM_2") == 4


def test_encoder_and_decoder_lump_what_both_allow() -> None:
    name = "lstm_encoder_decoder"
    model = ARCHITECTURES[name].model()
    first = plant(plant(model, "LSTM_0", {0: [{1: 1, 4: 1}]}), "LSTM_0", {0: [{2: 1, 6: -1}]})
    check(name, "LSTM_1", first, 0)
    second = plant(plant(first, "LSTM_1", {0: [{1: 1, 4: 1}]}), "LSTM_1", {0: [{2: 1, 6: 1}]})
    check(name, "LSTM_1", second, 1)


def test_nodes_in_another_order_than_they_run() -> None:
    name = "lstm_encoder_decoder"
    planted = plant(ARCHITECTURES[name].model(), "LSTM_0", {0: PAIRS})
    planted = plant(planted, "LSTM_1", {0: PAIRS})
    sound = merge(load(planted))
    nodes = list(planted.graph.node)[::-1]
    del planted.graph.node[:]
    planted.graph.node.extend(nodes)
    turned = merge(load(planted))
    assert [len(m.keep) for m in turned.plan.merges] == [len(m.keep) for m in sound.plan.merges] == [7]


def test_shared_weights_lump_once() -> None:
    name = "lstm_twice_with_the_same_weights"
    small = check(name, "LSTM_1", plant(ARCHITECTURES[name].model(), "LSTM_1", {0: OPPOSITE}), 3)
    assert hidden(small, "LSTM_2") == 5


def test_a_zero_state_that_the_graph_computes_is_left_out() -> None:
    planted = plant(ARCHITECTURES[ZERO_STATE].model(), "LSTM_4", {0: OPPOSITE})
    small = check(ZERO_STATE, "LSTM_4", planted, 3)
    layer = next(n for n in small.graph.node if n.op_type == "LSTM")
    assert not any(layer.input[5:])
    assert {n.op_type for n in small.graph.node} == {"LSTM", "Squeeze", "MatMul", "Add"}


def test_a_unit_without_candidate_is_zero() -> None:
    for name in ("lstm_sequence", "gru_linear_before_reset_1", "rnn_tanh"):
        node, model = FORWARD[name], ARCHITECTURES[name].model()
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[node.split("_")[0]]
        for slot in (1, 2, 3):
            array = surgeon.read(model, ("w1", "r1", "b1")[slot - 1]).copy()
            table = array.reshape(2 if slot == 3 else 1, gates, 8, -1)
            table[:, -1, 5] = 0
            surgeon.store(model, ("w1", "r1", "b1")[slot - 1], array)
        check(name, node, model, 1)


def test_batch_first_layers() -> None:
    """layout = 1, which onnxruntime does not run on the CPU: onnx's reference evaluator is the oracle."""
    text = """<ir_version: 8, opset_import: ["": 17]>
    g (double[3,7,6] x) => (double[3,5] y) {
      q,h=LSTM<hidden_size=8, layout=1>(x,w1,r1,b1) s=Squeeze(h,one) y=Gemm(s,w9,b9) }"""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(3)
    shapes = {"w1": (1, 32, 6), "r1": (1, 32, 8), "b1": (1, 64), "w9": (8, 5), "b9": (5,)}
    for name, shape in shapes.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(rng.normal(size=shape) / 2, name))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "one"))
    model.graph.node[0].name = "LSTM_0"
    planted = plant(model, "LSTM_0", {0: OPPOSITE})
    small, feeds = merged(planted), {"x": rng.normal(size=(3, 7, 6))}
    assert relative_error(run_reference(planted, feeds), run_reference(small, feeds)) <= EXACT_64
    assert hidden(small, "LSTM_0") == 5


@pytest.mark.parametrize("name", ["lstm_sequence", "lstm_bidirectional", "gru_linear_before_reset_1"])
def test_the_ledger_derives_lumped_units(name: str) -> None:
    node = {**FORWARD, **BOTH}[name]
    both = {0: COUPLED, 1: [{2: 1, 6: 1}, {0: 1, 1: 1, 5: -1}]} if name in BOTH else {0: OPPOSITE}
    source = load(plant(ARCHITECTURES[name].model(), node, both))
    reduction = merge(source)
    ledger = ledger_of(reduction.plan, 4.0)
    assert {e.rule for m in reduction.plan.merges for e in m.entries} == {"lumped unit"}
    assert derive(source, reduction.document, ledger).status == "passed"
    assert derive(load(ARCHITECTURES[name].model()), reduction.document, ledger).status == "failed"


@pytest.mark.parametrize("name", ["lstm_bidirectional", "gru_linear_before_reset_0"])
def test_only_what_changes_is_changed(name: str) -> None:
    """Without planted units the bytes stay; below tau 1 recurrent groups are merged exactly or not at all."""
    source = load(ARCHITECTURES[name].model())
    assert serialise(merge(source, tau=0.5).document) == serialise(source)
    assert not any(g.approximable for g in trace(source).groups if g.recurrences)


PUBLISHED = {
    "hand_point_history_lstm": {"LSTM__30": {0: [{1: 1, 5: 1, 12: -1}, {2: 1, 9: 1}]}},
    "gtcrn_simple": {
        "GRU_700": {0: [{0: 1, 3: -1}], 1: [{1: 1, 2: 1}]},
        "GRU_877": {0: [{0: 1, 3: 1}, {1: 1, 2: -1}], 1: [{1: 1, 2: 1, 3: -1}]},
    },
    "olive_notebook_model": {
        "LSTM_37": {
            0: [{0: 1, 3: -1, 77: 1}, {5: 1, 100: 1}],
            1: [{1: 1, 2: 1}, {3: 1, 127: -1}, {50: 1, 60: 1}],
        },
        "LSTM_41": {0: [{0: 1, 3: -1}], 1: [{1: 1, 2: 1}]},
    },
    "ten_vad": {"LSTM__73": {0: [{1: 1, 5: 1}]}},
}
GIVEN_STATES = {"ten_vad"}
STEPS = 4
"""Of the handwriting model: on 32 steps of noise, R changed in its last place changes the answer by 0.6."""


def published(name: str) -> onnx.ModelProto:
    """A model of the zoo with a name for every node, or a skip."""
    path = ZOO / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"no models in {ZOO} (set ONNXDUP_ZOO)")
    model = onnx.load(path)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return model


def feeds_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Random inputs; sequences have `STEPS` steps."""
    rng, stored = np.random.default_rng(5), {t.name for t in model.graph.initializer}
    feeds = {}
    for value in (v for v in model.graph.input if v.name not in stored):
        shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        feeds[value.name] = np.asarray(
            rng.normal(size=shape) if dtype.kind == "f" else np.full(shape, STEPS), dtype
        )
    return feeds


@pytest.mark.parametrize("name", PUBLISHED)
def test_units_planted_in_published_models_are_lumped(name: str) -> None:
    """Those whose states are inputs and outputs of the model stay."""
    planted = published(name)
    for node, classes in PUBLISHED[name].items():
        planted = plant(planted, node, classes)
    small, feeds = merged(planted), feeds_of(planted)
    assert relative_error(run_runtime(planted, feeds), run_runtime(small, feeds)) <= 1e-5
    for node, classes in PUBLISHED[name].items():
        drop = 0 if name in GIVEN_STATES else sum(len(c) - 1 for c in classes[0])
        assert hidden(planted, node) - hidden(small, node) == drop
