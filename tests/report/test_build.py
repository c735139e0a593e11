"""`build_report`: the paper's numbers, what merge would do, and shortcuts that change nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from architectures import ARCHITECTURES

from onnxdup import graph, reduce
from onnxdup.channels import trace
from onnxdup.errors import UsageError
from onnxdup.evaluation import cost
from onnxdup.reporting import removable as shortcut
from onnxdup.reporting.build import build_report, combine, parameters, wanted
from onnxdup.reporting.formats import from_json, to_json
from onnxdup.reporting.measure import measure

TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)
SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ("mlp_digits", "mlp_digits_padded", "cnn_digits")


def sample(name: str) -> graph.Document:
    return graph.load(SAMPLES / f"{name}.onnx")


def planted(n: int = 40, d: int = 30, copies: int = 10) -> np.ndarray:
    """n random filters, `copies` scaled copies of the first ones, and one zero filter."""
    rows = np.random.default_rng(0).normal(size=(n, d))
    return np.concatenate([rows, 3 * rows[:copies], np.zeros((1, d))]).astype(np.float32)


def test_measure_counts_components_clusters_and_zero_filters() -> None:
    found = measure(planted(), TAUS, blocks=None, spectra=True)
    assert (found.filters, found.dead) == (51, 1)
    assert found.components == found.clusters == (41,) * 5
    assert found.cosines is not None and found.cosines.pairs == 50 * 49 // 2
    assert found.nearest.max() == pytest.approx(1) and found.spectrum is not None
    assert found.spectrum.singular_values[0] == pytest.approx(np.linalg.norm(planted(), 2), rel=1e-6)


def test_components_chain_and_clusters_do_not() -> None:
    angles = np.deg2rad(np.arange(0, 100, 20))
    chain = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    found = measure(chain, (0.93,), blocks=None, spectra=False)
    assert found.components == (1,) and found.clusters == (3,)


def test_filters_of_different_blocks_are_never_compared() -> None:
    rows = np.tile(np.eye(3, dtype=np.float32)[:1], (4, 1))
    blocks = np.array([0, 0, 1, 1])
    assert measure(rows, (1.0,), blocks=blocks, spectra=False).components == (2,)
    assert measure(rows, (1.0,), blocks=None, spectra=False).components == (1,)


@pytest.mark.parametrize("name", NAMES)
def test_report_is_a_document_that_survives_json(name: str) -> None:
    report = combine([build_report(sample(name), TAUS, spectra=True)])
    assert to_json(from_json(to_json(report))) == to_json(report)
    model = report.models[0]
    assert model.totals.filters == sum(x.filters for x in model.layers)
    for layer in model.layers:
        shares = [t.duplicate_share for t in layer.taus]
        assert shares == sorted(shares) and all(t.components <= t.clusters <= t.filters for t in layer.taus)


def test_padded_sample_shows_every_planted_duplicate() -> None:
    model = build_report(sample("mlp_digits_padded"), (1.0,))
    assert [(x.filters, x.taus[0].removable) for x in model.layers] == [(384, 128), (96, 32), (10, 0)]


@pytest.mark.parametrize("tau", [1.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_the_first_layer_loses_what_the_report_says(name: str, tau: float) -> None:
    document = sample(name)
    first = build_report(document, (tau,)).layers[0]
    after = reduce.merge(document, tau).after
    left = next(x.filters for x in after.layers if x.node == first.node)
    assert first.filters - left == first.taus[0].removable


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shortcuts_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = graph.load(ARCHITECTURES[name].model())
    traced = trace(document)
    fast = build_report(document, TAUS)
    monkeypatch.setattr(shortcut, "ALIKE", -2.0)
    monkeypatch.setattr(shortcut, "_candidates", lambda problem, *_: np.ones(problem.group.size, bool))
    assert build_report(document, TAUS) == fast
    assert len(traced.layers) == len(fast.layers)


@pytest.mark.parametrize("bias", [0.0, 0.1, 1.0, 10.0])
def test_large_biases_can_make_filters_alike(bias: float) -> None:
    """Rows with a large bias are near although cos(w) is small: the survey of filters proves nothing."""
    rng = np.random.default_rng(3)
    tensors = {
        "w1": rng.normal(size=(12, 8)).astype(np.float32),
        "b1": np.full(12, bias, np.float32),
        "w2": rng.normal(size=(3, 12)).astype(np.float32),
    }
    document = graph.parse(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (float[N, 8] x) => (float[N, 3] y)
        { z = Gemm<transB = 1>(x, w1, b1)  h = Relu(z)  y = Gemm<transB = 1>(h, w2) }""",
        **tensors,
    )
    found = build_report(document, (0.9,)).layers[0].taus[0].removable
    assert found == reduce.merge(document, 0.9).removed
    assert (found > 0) == (bias >= 10)


def test_include_and_exclude() -> None:
    document = sample("mlp_digits")
    names = [x.node for x in build_report(document, (1.0,)).layers]
    assert [x.node for x in build_report(document, (1.0,), include=[names[0]]).layers] == names[:1]
    assert [x.node for x in build_report(document, (1.0,), exclude=[names[0]]).layers] == names[1:]
    with pytest.raises(UsageError, match="no layer"):
        build_report(document, (1.0,), include=["nothing*"])


def test_wanted() -> None:
    assert wanted(("a", "b"), (), ()) and wanted(("a", "b"), ("b",), ())
    assert not wanted(("a",), ("b",), ()) and not wanted(("a",), ("*",), ("a",))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_evaluate(name: str) -> None:
    assert parameters(sample(name)) == cost(sample(name)).parameters


def test_a_report_loads_neither_onnxruntime_nor_scipy_stats() -> None:
    code = (
        "import sys; from onnxdup import report; report(sys.argv[1]); "
        "print([m for m in ('onnxruntime', 'scipy.stats', 'torch') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(SAMPLES / "mlp_digits.onnx")]
    done = subprocess.run(command, cwd=SAMPLES.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_progress_ends_at_the_total() -> None:
    steps: list[tuple[int, int, str]] = []
    build_report(sample("mlp_digits"), (1.0,), progress=lambda *step: steps.append(step))
    assert steps[0][:2] == (0, 3) and steps[-1][:2] == (3, 3)


def test_obstacles_count_frozen_groups() -> None:
    model = build_report(sample("mlp_digits"), (1.0,))
    assert [(o.groups, o.filters) for o in model.obstacles] == [(1, 10)]
    assert model.obstacles[0].reason == "output of the model"
    assert model.layers[-1].frozen is not None and model.layers[0].frozen is None
