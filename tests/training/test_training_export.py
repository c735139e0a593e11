"""Exports: the same function as torch, one file, dynamic batch, batch normalisation kept on request."""

from __future__ import annotations

import base64
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from training import export as exporting
from training import loop
from training.checkpoint import restore_model
from training.config import TrainConfig
from training.errors import TrainingError
from training.scaling import Scaling

EXPORTERS = exporting.EXPORTERS


@pytest.fixture(scope="module")
def runs(tmp_path_factory, digits):
    """A run of each kind, trained for one epoch."""
    folder = tmp_path_factory.mktemp("runs")
    kinds = {
        "mlp": TrainConfig(widths=(16, 8), scaling="standardised", dropout=0.5, epochs=1, threads=1),
        "cnn": TrainConfig(model="cnn", widths=(6, 4), fc=(12,), batchnorm=True, epochs=1, threads=1),
        "resnet": TrainConfig(model="resnet", depth=8, widths=(4, 8, 8), dropout=0.1, epochs=1, threads=1),
    }
    for name, config in kinds.items():
        loop.train(config, digits, folder / name)
    return folder


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def normalised_convolutions(path):
    """Nodes that normalise the output of a convolution."""
    nodes = onnx.load(path).graph.node
    convolved = {node.output[0] for node in nodes if node.op_type == "Conv"}
    return [
        node.name for node in nodes if node.op_type == "BatchNormalization" and node.input[0] in convolved
    ]


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("kind", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("keep", [True, False])
def test_export_computes_what_torch_computes(tmp_path, digits, runs, kind, exporter, keep):
    path = tmp_path / "m.onnx"
    exporting.export(runs / kind, digits, path, exporter=exporter, keep_batchnorm=keep)
    _, model, scaling = restore_model(runs / kind, digits)
    x = scaling.apply(torch.from_numpy(digits.x_test[:33]))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["x"]
    assert session.get_inputs()[0].shape[1:] == list(digits.shape)
    for part in (x, x[:1]):
        got = session.run(["logits"], {"x": part.numpy()})[0]
        np.testing.assert_allclose(got, model(part).detach().numpy(), rtol=1e-4, atol=1e-5)
    norms = sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules())
    if keep:
        assert operators(path).count("BatchNormalization") == norms
    else:
        assert not normalised_convolutions(path)
    assert list(tmp_path.iterdir()) == [path]
    onnx.checker.check_model(path, full_check=True)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_kept_batchnorm_holds_the_statistics(tmp_path, digits, runs, exporter):
    exporting.export(runs / "resnet", digits, tmp_path / "m.onnx", exporter=exporter, keep_batchnorm=True)
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(tmp_path / "m.onnx").graph.initializer}
    _, model, _ = restore_model(runs / "resnet", digits)
    np.testing.assert_array_equal(stored["bn1.running_var"], model.bn1.running_var.numpy())
    assert {"Shape", "Expand", "CastLike"}.isdisjoint(operators(tmp_path / "m.onnx"))


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_exports_are_the_same_bytes(tmp_path, digits, runs, exporter):
    for name in "ab":
        exporting.export(runs / "resnet", digits, tmp_path / name, exporter=exporter, keep_batchnorm=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_export_names_no_local_paths(tmp_path, digits, runs, root, exporter):
    exporting.export(runs / "mlp", digits, tmp_path / "m.onnx", exporter=exporter)
    raw = (tmp_path / "m.onnx").read_bytes()
    for path in (root, runs, tmp_path, torch.__path__[0]):
        assert str(path).encode() not in raw


def test_metadata_say_how_to_scale(tmp_path, digits, runs):
    exporting.export(runs / "mlp", digits, tmp_path / "m.onnx")
    props = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    scaling = Scaling.fit("standardised", digits)
    assert json.loads(props["training.scaling"])["mean"] == list(scaling.mean)
    assert json.loads(props["training.config"])["widths"] == [16, 8]
    assert 0 <= float(props["training.test_accuracy"]) <= 1


def test_dataset_is_scaled_as_in_training(tmp_path, digits, runs):
    scaling = restore_model(runs / "mlp", digits)[2]
    assert exporting.write_dataset(tmp_path / "t.npz", digits, scaling, limit=40) == 40
    with np.load(tmp_path / "t.npz") as arrays:
        assert (arrays["x"].dtype, arrays["y"].dtype) == (np.float32, np.int64)
        np.testing.assert_allclose(
            arrays["x"], (digits.x_test[:40] / 16 - scaling.mean[0]) / scaling.std[0], atol=1e-5
        )
        np.testing.assert_array_equal(arrays["y"], digits.y_test[:40])


@pytest.mark.parametrize(("exporter", "opset"), [("dynamo", 7), ("dynamo", 99), ("torchscript", 99)])
def test_opset_that_cannot_be_had_is_an_error(tmp_path, digits, runs, exporter, opset):
    with pytest.raises(TrainingError, match=r"opset|torch\.onnx\.export failed") as caught:
        exporting.export(runs / "mlp", digits, tmp_path / "m.onnx", exporter=exporter, opset=opset)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_model_that_computes_otherwise_is_not_written(tmp_path, digits, runs, monkeypatch):
    honest = exporting._dynamo

    def lying(model, *rest):
        proto = honest(model, *rest)
        last = next(t for t in proto.graph.initializer if t.name == "fc3.bias")
        last.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(last) + 1, last.name))
        return proto

    monkeypatch.setattr(exporting, "_dynamo", lying)
    with pytest.raises(TrainingError, match="differs from torch"):
        exporting.export(runs / "mlp", digits, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_sketch_of_training_images_is_stored_on_request(tmp_path, digits, runs):
    path = tmp_path / "m.onnx"
    scaling = restore_model(runs / "cnn", digits)[2]
    exporting.export(runs / "cnn", digits, path)
    before = onnx.load(path)
    exporting.add_sketch(path, digits, scaling, 64)
    after = onnx.load(path)
    held = {p.key: p.value for p in after.metadata_props}
    values = json.loads(held["onnxdup.moments"])["values"]
    mean = np.frombuffer(base64.b64decode(values["x"]["mean"]), "<f4")
    drawn = np.sort(np.random.default_rng(0).permutation(len(digits.x_train))[:64])
    images = scaling.apply(torch.from_numpy(digits.x_train[drawn])).numpy()
    assert np.abs(mean - images.mean((0, 2, 3))).max() < 1e-4
    assert len(values) > 2 and after.graph == before.graph
