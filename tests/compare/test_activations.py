"""Activations at common points: known answers, resolutions, batches and bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from compare.twins import twin

import onnxdup
from onnxdup import graph
from onnxdup.channels import trace
from onnxdup.errors import InputError, OnnxdupError
from onnxdup.evaluation.correspondence import activations as subject
from onnxdup.evaluation.correspondence.activations import Points, Probe, activations, points_for, probe_of
from onnxdup.evaluation.data import as_dataset
from onnxdup.runtime import Session

SAMPLES = Path(__file__).parents[2] / "samples"
DIGITS = SAMPLES / "digits_test.npz"
CONV = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 2, 6, 6] x) => (float[N, 3] y)
{ a = Conv<pads = [1, 1, 1, 1]>(x, k)  b = Relu(a)  c = Conv<strides = [2, 2]>(b, l)  d = GlobalAveragePool(c)
  f = Flatten(d)  y = Gemm<transB = 1>(f, w) }
"""


def conv() -> graph.Document:
    random = np.random.default_rng(0)
    shapes = {"k": (4, 2, 3, 3), "l": (5, 4, 2, 2), "w": (3, 5)}
    return graph.parse(CONV, **{n: random.normal(size=s).astype(np.float32) for n, s in shapes.items()})


def images(samples: int = 20) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(samples, 2, 6, 6)).astype(np.float32)


def probes(document: graph.Document) -> list[Probe]:
    nodes = {n.name: n for n in document.nodes}
    found = [probe_of(document, layer, nodes) for layer in trace(document).layers]
    assert all(isinstance(p, Probe) for p in found)
    return found  # type: ignore[return-value]


def test_answers_are_those_of_the_layers_at_the_points() -> None:
    document, x = conv(), images()
    points = Points.draw(20, 100, 0)
    values, provider, _ = activations(
        document, probes(document), as_dataset(x, document), points, provider="cpu"
    )
    assert provider == "CPUExecutionProvider" and points.places.shape == (20, 5, 3)
    with Session.open(subject.with_outputs(document, ["a", "c", "y"]), provider="cpu") as session:
        whole = session.run({"x": x})
    for found, name, side in ((values[0], "a", 6), (values[1], "c", 3)):
        at = np.floor(points.places[:, :, :2] * side).astype(int)
        expected = whole[name][np.arange(20)[:, None], :, at[..., 0], at[..., 1]].reshape(100, -1).T
        assert found == pytest.approx(expected, abs=1e-5)
    assert values[2] == pytest.approx(whole["y"].T, abs=1e-5)  # no places: one column per sample


@pytest.mark.parametrize("limit", [1, 3000])
def test_small_runs_give_the_same_answers(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    document, points = conv(), Points.draw(20, 60, 0)
    data = as_dataset(images(), document)
    before = activations(document, probes(document), data, points, provider="cpu")[0]
    monkeypatch.setattr(subject, "RUN_BYTES", limit)
    after = activations(document, probes(document), data, points, provider="cpu")[0]
    for a, b in zip(before, after, strict=True):
        assert a == pytest.approx(b, abs=1e-5)


def test_the_number_of_points_is_bounded_by_memory() -> None:
    assert points_for(500, 100) == subject.POINTS
    assert points_for(500, 20_000) * 20_000 * 4 <= subject.KEPT_BYTES
    assert points_for(500, 10**9) == subject.FEWEST


def test_identical_networks_answer_identically() -> None:
    report = onnxdup.compare(SAMPLES / "cnn_digits.onnx", SAMPLES / "cnn_digits.onnx", DIGITS, provider="cpu")
    assert report.basis == "activations" and report.inputs and report.inputs.samples == 500
    for k, pair in enumerate(report.pairs):
        assert pair.matching and pair.matching.mean == pytest.approx(1) and pair.matching.opposite == 0
        assert pair.correlation and pair.correlation.mean == pytest.approx(1, abs=1e-5)
        assert report.grid.correlation[k][k] == pytest.approx(1, abs=1e-5)
    assert np.isfinite(report.grid.correlation).all()


def test_channels_need_no_order_and_no_scale() -> None:
    model = onnx.load(SAMPLES / "mlp_digits.onnx")
    report = onnxdup.compare(model, twin(model, scaled=True), DIGITS, provider="cpu")
    for pair in report.pairs:
        assert pair.matching and pair.matching.mean > 1 - 1e-5 and pair.inputs == "data"


def test_duplicates_add_nothing_to_what_is_said() -> None:
    report = onnxdup.compare(
        SAMPLES / "mlp_digits.onnx", SAMPLES / "mlp_digits_padded.onnx", DIGITS, energy=1.0
    )
    for pair in report.pairs:
        assert pair.matching and pair.matching.mean > 1 - 1e-5
        assert pair.correlation and pair.correlation.mean > 0.99


def test_networks_of_random_weights_are_at_chance_on_weights() -> None:
    def net(seed: int) -> graph.Document:
        random = np.random.default_rng(seed)
        shapes = {"k": (64, 2, 3, 3), "l": (80, 64, 2, 2), "w": (30, 80)}
        return graph.parse(CONV.replace("float[N, 3] y", "float[N, 30] y"), **{
            n: random.normal(size=s).astype(np.float32) for n, s in shapes.items()
        })  # fmt: skip

    report = onnxdup.compare(net(0), net(1))
    for pair in report.pairs:
        assert pair.matching and pair.matching.mean == pytest.approx(pair.matching.chance, rel=0.1)
        assert pair.correlation and pair.correlation.mean == pytest.approx(pair.correlation.chance, abs=0.05)


def test_inputs_of_other_sizes_are_refused_in_one_line() -> None:
    with pytest.raises(OnnxdupError) as error:
        onnxdup.compare(SAMPLES / "mlp_digits.onnx", conv(), DIGITS)
    assert isinstance(error.value, InputError) and "\n" not in str(error.value)


def test_few_points_are_said() -> None:
    report = onnxdup.compare(SAMPLES / "mlp_digits.onnx", SAMPLES / "mlp_digits.onnx", DIGITS, samples=20)
    assert any(note.startswith("20 points for the ") for note in report.notes)


def test_layers_without_answers_say_why() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[T, N, 4] x) => (float[T, D, N, H] y) { y = LSTM<hidden_size = 3>(x, w, r) }"""
    document = graph.parse(text, w=np.ones((1, 12, 4), np.float32), r=np.ones((1, 12, 3), np.float32))
    x = np.random.default_rng(0).normal(size=(5, 7, 4)).astype(np.float32)
    report = onnxdup.compare(document, document, {"x": x}, provider="cpu")
    assert {p.note for p in report.pairs} == {"the outputs of LSTM are no filters' answers"}
    assert all(p.matching is None and p.correlation is None for p in report.pairs)


def test_a_model_of_fixed_batch_is_filled_up() -> None:
    document = graph.parse(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[8, 3] x) => (float[8, 4] y)
        { y = Gemm<transB = 1>(x, w) }""",
        w=np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
    )
    x = np.random.default_rng(1).normal(size=(21, 3)).astype(np.float32)
    values = activations(document, probes(document), as_dataset(x, document), Points.draw(21, 21, 0))[0]
    assert values[0] == pytest.approx(document.weights.array("w") @ x.T, abs=1e-5)
