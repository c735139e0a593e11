"""Channels found again: copies with other orders, scales and signs are the same network, layer for layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from compare.twins import folded, twin

import onnxdup
from onnxdup import graph
from onnxdup.channels import trace
from onnxdup.channels.wiring import wired
from onnxdup.errors import UsageError
from onnxdup.evaluation.correspondence.alignment import Correspondence
from onnxdup.evaluation.correspondence.net import Net
from onnxdup.evaluation.correspondence.pairing import form_of, pair_layers

SAMPLES = Path(__file__).parents[2] / "samples"
TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 6] x) => (float[N, 3] y)
{ a = Gemm<transB = 1>(x, w1)  b = Relu(a)  c = Gemm<transB = 1>(b, w2)  d = Relu(c)
  y = Gemm<transB = 1>(d, w3) }
"""


def mlp(*widths: int, seed: int = 0, **names: str) -> graph.Document:
    """Gemm 6 → widths → 3; names rename the weights."""
    random, sizes, text = np.random.default_rng(seed), (6, *widths, 3), TEXT
    tensors = {}
    for k in range(3):
        name = names.get(f"w{k + 1}", f"w{k + 1}")
        text = text.replace(f"w{k + 1}", name)
        tensors[name] = random.normal(size=(sizes[k + 1], sizes[k])).astype(np.float32)
    return graph.parse(text, **tensors)


def renamed(document: graph.Document, old: str, new: str) -> onnx.ModelProto:
    """The model with another name for a weight, also one that ONNX text cannot say."""
    model = onnx.ModelProto()
    model.CopyFrom(document._model)
    for index, tensor in enumerate(model.graph.initializer):
        array = document.weights.array(tensor.name)
        stored = onnx.numpy_helper.from_array(array, new if tensor.name == old else tensor.name)
        model.graph.initializer[index].CopyFrom(stored)
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
    return model


def paired(a: graph.Document, b: graph.Document, *layers: str) -> list[tuple[int, int, str]]:
    return [tuple(p) for p in pair_layers(wired(trace(a)), wired(trace(b)), layers)[0]]


@pytest.mark.parametrize("scaled", [False, True], ids=["shuffled", "rescaled"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_copy_with_other_channels_is_the_same_in_every_layer(name: str, scaled: bool) -> None:
    """Filters of another scale change which directions hold 99 % of the energy, so all of it is kept then."""
    model = ARCHITECTURES[name].model()
    report = onnxdup.compare(model, twin(model, scaled=scaled), energy=1.0 if scaled else 0.99)
    assert not report.unpaired
    for pair in report.pairs:
        assert pair.columns == pair.a.fan_in, f"{pair.a.tensor}: {pair.note}"
        if pair.matching:
            assert np.nanmin(np.abs(pair.matching.cosines)) > 1 - 1e-5, pair.a.tensor
        if pair.correlation:
            assert min(pair.correlation.values) > 1 - 1e-3, pair.a.tensor


@pytest.mark.parametrize("name", ["mlp_digits", "cnn_digits"])
def test_trained_networks_are_found_again(name: str) -> None:
    model = onnx.load(SAMPLES / f"{name}.onnx")
    shuffled = onnxdup.compare(model, twin(model, scaled=False))
    scaled = onnxdup.compare(model, twin(model, scaled=True), energy=1.0)
    for pair in (*shuffled.pairs, *scaled.pairs):
        assert pair.matching is not None and pair.matching.mean > 1 - 1e-6, pair.a.tensor
        assert pair.matching.above == 1 and pair.correlation is not None
        assert pair.correlation.mean > 1 - 1e-5, pair.a.tensor


def test_batch_normalisation_may_be_folded_in_one_of_them() -> None:
    model = onnx.load(SAMPLES / "cnn_digits.onnx")
    plain = folded(twin(model, scaled=False))
    assert sum(n.op_type == "BatchNormalization" for n in model.graph.node) == 9
    assert not any(n.op_type == "BatchNormalization" for n in plain.graph.node)
    for pair in onnxdup.compare(model, plain).pairs:
        assert pair.matching is not None and pair.matching.mean > 1 - 1e-6, pair.a.tensor
        assert pair.matching.opposite == 0 and pair.correlation is not None
        assert pair.correlation.mean > 1 - 1e-5, pair.a.tensor


def test_exact_duplicates_are_told_apart_by_what_reads_them() -> None:
    model = onnx.load(SAMPLES / "mlp_digits_padded.onnx")
    report = onnxdup.compare(model, twin(model, scaled=True))
    for pair in report.pairs:
        assert pair.matching is not None and pair.matching.mean > 1 - 1e-6, pair.a.tensor


def test_without_carrying_the_order_the_second_layer_looks_random() -> None:
    """The control: the twin's second layer on its columns as stored is no better than chance."""
    model = onnx.load(SAMPLES / "mlp_digits.onnx")
    first, second = (Net.of(trace(graph.load(m))) for m in (model, twin(model, scaled=False)))
    pairs, _ = pair_layers(first.wired, second.wired)
    alone = Correspondence(first, second, pairs[1:2])  # the first layer is not matched
    assert not len(alone.common(1, 1).first) and "no input" in alone.common(1, 1).note
    both = Correspondence(first, second, pairs)
    assert len(both.common(1, 1).first) == 256 and both.common(1, 1).inputs == "matched"


def test_channels_of_a_narrower_network_are_found_in_a_wider_one() -> None:
    wide = mlp(10, 8)
    model = {k: wide.weights.array(k) for k in ("w1", "w2", "w3")}
    keep, low = np.array([7, 1, 4, 9]), np.array([5, 0, 2])
    narrow = graph.parse(TEXT, w1=model["w1"][keep], w2=model["w2"][low][:, keep], w3=model["w3"][:, low])
    report = onnxdup.compare(narrow, wide)
    assert [p.columns for p in report.pairs] == [6, 4, 3]
    assert [p.matching and p.matching.partners for p in report.pairs[:2]] == [tuple(keep), tuple(low)]
    for pair in report.pairs:
        assert pair.matching is not None and pair.matching.mean == pytest.approx(1)
    first = report.pairs[0].matching
    assert first is not None and (first.unmatched_a, first.unmatched_b) == (0, 6)


def test_layers_are_paired_by_name() -> None:
    assert paired(mlp(5, 4), mlp(9, 7)) == [(0, 0, "name"), (1, 1, "name"), (2, 2, "name")]


def test_layers_of_other_names_are_paired_in_order() -> None:
    other = mlp(5, 4, w1="first", w2="second", w3="third")
    assert paired(mlp(5, 4), other) == [(0, 0, "order"), (1, 1, "order"), (2, 2, "order")]


def test_numbers_of_an_exporter_are_no_names() -> None:
    a, b = mlp(5, 4, w1="val_1", w2="val_2", w3="val_3"), mlp(5, 4, w1="val_9", w2="val_3", w3="val_2")
    assert [p[:2] for p in paired(a, b)] == [(0, 0), (1, 1), (2, 2)]


def test_of_networks_of_different_depth_the_rest_is_named() -> None:
    deep = mlp(4, 4)
    shallow = graph.parse(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[N, 6] x) => (float[N, 3] y)
        { a = Gemm<transB = 1>(x, u)  b = Relu(a)  y = Gemm<transB = 1>(b, v) }""",
        u=np.ones((4, 6), np.float32),
        v=np.ones((3, 4), np.float32),
    )
    pairs, lone = pair_layers(wired(trace(deep)), wired(trace(shallow)))
    assert [tuple(p) for p in pairs] == [(0, 0, "order"), (2, 1, "order")]
    assert [(x.side, x.at) for x in lone] == [(0, 1)] and "belong to others" in lone[0].reason


def test_chosen_layers_come_first_and_wrong_choices_are_refused() -> None:
    a, b = mlp(6, 6), graph.load(renamed(mlp(6, 6), "w2", "mid=dle"))
    assert (1, 1, "choice") in paired(a, b, "w2=mid=dle")
    assert paired(a, b, "w1=mid=dle")[0] == (0, 1, "choice")
    for wrong, said in (("w1", "not two names"), ("w9=w1", "'w9'"), ("w1=w8", "'w8'")):
        with pytest.raises(UsageError, match=said):
            paired(a, b, wrong)
    with pytest.raises(UsageError, match="twice"):
        paired(a, b, "w1=w1", "w1=w3")


def test_forms_tell_kernels_apart() -> None:
    def conv(kernel: int) -> graph.Document:
        return graph.parse(
            """<ir_version: 8, opset_import: ["" : 17]>
            g (float[N, 3, 8, 8] x) => (float[N, 4, H, W] y) { y = Conv(x, w) }""",
            w=np.ones((4, 3, kernel, kernel), np.float32),
        )

    forms = [form_of(wired(trace(conv(k)))[0]) for k in (3, 5)]
    assert forms[0] != forms[1] and str(forms[0]) == "convolution 3x3 of 27 inputs"
    pairs, lone = pair_layers(wired(trace(conv(3))), wired(trace(conv(5))))
    assert not pairs and len(lone) == 2 and "5x5" in lone[1].reason


def test_a_flattened_image_is_read_position_by_position() -> None:
    document = graph.load(SAMPLES / "mlp_digits.onnx")
    found = wired(trace(document))
    assert found[0].raw and found[0].taps == 0 and found[1].taps == 1 and not found[1].raw
    conv, dense = wired(trace(graph.load(ARCHITECTURES["cnn_flatten"].model())))[-2:]
    places = dense.layer.fan_in // conv.layer.filters
    assert places > 1 and dense.taps == places and (np.unique(dense.reads) == np.unique(conv.makes)).all()
