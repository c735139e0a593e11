"""The moment sketch: what comes back is what was measured, and it serves where the data are not."""

from __future__ import annotations

import numpy as np
import pytest
from test_calibration import conv_net, shifted

import onnxdup
from onnxdup.channels import trace
from onnxdup.errors import UsageError
from onnxdup.evaluation import compare
from onnxdup.evaluation.data import as_dataset
from onnxdup.graph import Document, load, write
from onnxdup.merging.moments.sketch import KEY, principal, stored_moments
from onnxdup.reduce import merge
from onnxdup.reduce.sketching import measured_values


def test_what_is_stored_is_what_was_measured(tmp_path) -> None:  # type: ignore[no-untyped-def]
    document = conv_net("pads=[1,1,1,1]")
    data = {"x": shifted(64, 3)}
    found = onnxdup.calibrate(document, data, output=tmp_path / "known.onnx")
    known = stored_moments(load(tmp_path / "known.onnx"))
    measured = measured_values(trace(document), as_dataset(data, document))
    assert set(known) == set(measured) == {"x", "r", "f"} and found.values == 3
    for name, value in known.items():
        wanted = measured[name]
        assert value.mean is not None and wanted.mean is not None
        assert value.covariance is not None and wanted.covariance is not None
        assert np.abs(value.mean - wanted.mean).max() < 1e-5
        assert np.abs(np.diag(value.covariance) - np.diag(wanted.covariance)).max() < 1e-4
        assert (value.space is None) == (name == "f")
    image = known["x"].covariance
    assert (
        image is not None
        and np.abs(image - np.cov(shifted(64, 3).transpose(1, 0, 2, 3).reshape(3, -1))).max() < 0.3
    )


def test_principal_directions_hold_what_they_promise() -> None:
    random = np.random.default_rng(0)
    factor = random.normal(size=(40, 3))
    covariance = factor @ factor.T + np.diag(random.uniform(0.1, 1, 40))
    found = principal(covariance)
    left = covariance - found @ found.T
    off = covariance - np.diag(np.diag(covariance))
    assert found.shape[1] <= 4
    assert ((left - np.diag(np.diag(left))) ** 2).sum() <= 0.05 * (off**2).sum()
    assert principal(np.diag(random.uniform(1, 2, 5))).shape[1] == 0


def test_a_stored_sketch_serves_where_the_data_are_not() -> None:
    document = conv_net("pads=[1,1,1,1]", n=16)
    known = onnxdup.calibrate(document, {"x": shifted(128, 2)}).document
    errors = {}
    for name, model in (("weights alone", document), ("sketch", known)):
        reduced = merge(model, 0.5, "obs", keep=0.5)
        test = compare(document, reduced.document, data={"x": shifted(64, 1)}, provider="cpu")
        errors[name] = test.fidelity[0].mean_absolute_error
        assert any("moments of" in note for note in reduced.notes) == (name == "sketch")
    assert errors["sketch"] < 0.8 * errors["weights alone"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[1]", '{"version":1,"values":{"r":{"mean":"!"}}}', '{"version":9,"values":{}}'),
        '{"version":1,"values":{"r":{"mean":"","rest":"","factor":"","space":NaN}}}',
        '{"version":1,"values":{"r":{"mean":"","rest":"","factor":"","space":2}}}',
    ],
)
def test_a_sketch_that_cannot_be_read_counts_as_none(text: str) -> None:
    editor = conv_net("pads=[1,1,1,1]").edit()
    editor.set_metadata({KEY: text})
    document: Document = editor.finish()
    assert stored_moments(document) == {}
    assert merge(document, 0.5, "obs", keep=0.5).changed


def test_the_command_line(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    from onnxdup.cli.app import main

    write(conv_net("pads=[1,1,1,1]"), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=shifted(8, 4))
    model, out = str(tmp_path / "m.onnx"), str(tmp_path / "out.onnx")
    assert main(["calibrate", model, "-o", out]) == UsageError.exit_code
    assert "--data" in capsys.readouterr().err
    assert main(["calibrate", model, "--data", str(tmp_path / "d.npz"), "-o", out]) == 0
    assert "moments of 3 values from 8 samples" in capsys.readouterr().out
    assert len(stored_moments(load(out))) == 3
