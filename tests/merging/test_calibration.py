"""Moments measured on data: how values are looked at, what is learnt from them, and what it is good for."""

from __future__ import annotations

import numpy as np
import pytest
from architectures import ARCHITECTURES
from scipy.sparse import csr_array

from onnxdup.channels import trace
from onnxdup.evaluation import compare
from onnxdup.evaluation.data import Dataset, as_dataset
from onnxdup.graph import Document, load, parse
from onnxdup.graph.expose import with_outputs
from onnxdup.merging import Analytic, Problem, mixing
from onnxdup.merging.moments.views import View
from onnxdup.reduce import merge
from onnxdup.reduce.calibrating import measure
from onnxdup.reduce.job import Job
from onnxdup.reduce.trial import on_trial
from onnxdup.runtime import Session

RNG = np.random.default_rng(1)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _drawn_alike() -> None:
    """Every test draws the same numbers, in whatever order tests run."""
    RNG.bit_generator.state = START


def conv_net(pads: str, n: int = 8) -> Document:
    text = f"""<ir_version: 8, opset_import: ["": 17]> g (float[N,3,9,9] x) => (float[N,6] y) {{
      a=Conv<pads=[1,1,1,1]>(x,w1,b1) r=Relu(a) c=Conv<{pads}>(r,w2,b2) q=Relu(c)
      p=GlobalAveragePool(q) f=Flatten(p) y=Gemm<transB=1>(f,w3,b3) }}"""
    shapes = {"w1": (n, 3, 3, 3), "b1": (n,), "w2": (12, n, 3, 3), "b2": (12,), "w3": (6, 12), "b3": (6,)}
    return parse(text, **{k: RNG.normal(size=d).astype("f4") * 0.3 for k, d in shapes.items()})


@pytest.mark.parametrize(
    "pads",
    [
        "pads=[1,1,1,1]",
        "pads=[0,1,2,1],strides=[2,1]",
        'auto_pad="SAME_UPPER",strides=[2,2]',
        'auto_pad="SAME_LOWER",strides=[2,1]',
        "pads=[2,2,2,2],dilations=[2,2]",
        'auto_pad="VALID"',
    ],
)
def test_windows_are_what_the_convolution_multiplies(pads: str) -> None:
    """Rows times the kernel are the convolution's outputs at those places."""
    document = conv_net(pads)
    traced = trace(document)
    group = traced.group("w1")
    view = View.of(traced, group, group.sinks[0])
    assert view is not None and len(view.offsets) == 9
    x = RNG.normal(size=(2, 3, 9, 9)).astype("f4")
    with Session.open(with_outputs(document, ["r", "c"]), provider="cpu") as session:
        seen = session.run({"x": x}, ["r", "c"])
    r, c = np.asarray(seen["r"]), np.asarray(seen["c"])
    places = view.places(r.shape, 40, np.random.default_rng(0))
    rows = view.rows(r, places)
    kernel = document.weights.array("w2").reshape(12, -1)
    expected = c[places[0], :, places[1], places[2]]
    assert np.abs(rows @ kernel.T + document.weights.array("b2") - expected).max() < 1e-5


def test_measured_moments_are_those_of_the_data_where_there_are_many() -> None:
    document = conv_net("pads=[1,1,1,1]")
    traced = trace(document)
    group = traced.group("w2")
    data = as_dataset({"x": RNG.normal(size=(400, 3, 9, 9)).astype("f4")}, document)
    problem = Problem.of(traced, group, None)
    (found,) = measure(traced, [group], data, Analytic(traced)).of(problem) or []
    f = _pooled(document, data)
    assert found.known and np.abs(found.mean - f.mean(0)).max() < 1e-4
    assert np.abs(found.centred - np.cov(f.T, bias=True)).max() < 0.3 * np.abs(np.cov(f.T)).max()


def shifted(n: int, seed: int) -> np.ndarray:
    """Images whose statistics no prior knows."""
    random = np.random.default_rng(seed)
    base = random.normal(size=(n, 1, 9, 9)) * np.array([3.0, 0.2, 1.0])[None, :, None, None]
    return (base + 0.3 * random.normal(size=(n, 3, 9, 9)) + 1.5).astype("f4")


def test_calibration_beats_what_weights_alone_tell() -> None:
    document = conv_net("pads=[1,1,1,1]", n=16)
    test = {"x": shifted(64, 1)}
    errors = {}
    for name, data in (("none", None), ("data", as_dataset({"x": shifted(128, 2)}, document))):
        reduced = merge(document, 0.5, "obs", keep=0.5, calibration=data)
        assert reduced.after.group("w1").size == 8 and reduced.after.group("w2").size == 6
        errors[name] = (
            compare(document, reduced.document, data=test, provider="cpu").fidelity[0].mean_absolute_error
        )
    assert errors["data"] < 0.6 * errors["none"]


def _error(document: Document, method: str, data: object) -> float:
    reduced = merge(document, 0.5, method, keep=0.5, calibration=data)  # type: ignore[arg-type]
    found = compare(document, reduced.document, data={"x": shifted(64, 1)}, provider="cpu")
    return found.fidelity[0].mean_absolute_error


@pytest.mark.parametrize("method", ["ward", "cluster"])
def test_means_of_filters_are_measured_too(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = conv_net("pads=[1,1,1,1]", n=16)
    data = as_dataset({"x": shifted(128, 2)}, document)
    measured, unknown = _error(document, method, data), _error(document, method, None)
    monkeypatch.setattr(Job, "on_trial", lambda *_: None)
    leaders = _error(document, method, data)
    assert measured < leaders < unknown


def test_mixed_channels_are_regressed_on_as_the_data_say() -> None:
    """The fit of measured means is the least-squares solution on the same data, up to shrinking."""
    document = conv_net("pads=[1,1,1,1]", n=6)
    traced = trace(document)
    group = traced.group("w2")
    data = as_dataset({"x": RNG.normal(size=(600, 3, 9, 9)).astype("f4")}, document)
    moments = measure(traced, [group], data, Analytic(traced))
    cut = Job(document, (), (), None, None, lambda _: None).on_trial
    moments.trial = on_trial(data, traced, None, cut)
    problem = Problem.of(traced, group, moments)
    keep, mix = np.arange(0, 12, 2), csr_array(np.kron(np.eye(6), [[0.5, 0.5]]))
    (fit,) = (moments.of(problem) and moments.folded(problem, mix, keep)) or []
    merge_of_means = mixing(problem, mix, keep)
    assert merge_of_means is not None
    made = cut(merge_of_means)
    assert made is not None
    w2 = document.weights.array("w2")
    assert np.allclose(made.document.weights.array("w2"), (w2[::2] + w2[1::2]) / 2, atol=1e-6)
    before, after = (_pooled(d, data) for d in (document, made.document))
    u, constant = fit.solve()
    centred = before - before.mean(0)
    best = centred - after @ np.linalg.lstsq(after - after.mean(0), centred, rcond=None)[0]
    left = before - after @ u.T - constant
    assert np.var(left) < 1.1 * np.var(best - best.mean(0)) < 0.5 * np.var(centred)
    assert np.abs(left.mean(0)).max() < 1e-4


def _pooled(document: Document, data: Dataset) -> np.ndarray:
    with Session.open(with_outputs(document, ["f"]), provider="cpu") as session:
        return np.asarray(session.run(dict(data.inputs), ["f"])["f"]).reshape(len(data), -1)


def test_groups_that_an_earlier_stage_made_anew_are_passed_over() -> None:
    """Its reader's groups are named otherwise once the first ones are cut."""
    architecture = ARCHITECTURES["constant_channel_grouped_consumer"]
    document = load(architecture.model())
    feeds = [architecture.feeds(seed) for seed in range(4)]
    data = as_dataset({name: np.concatenate([f[name] for f in feeds]) for name in feeds[0]}, document)
    reduced = merge(document, 0.5, "obs", keep=0.6, calibration=data)
    assert sum(g.size for g in reduced.after.groups) < sum(g.size for g in reduced.before.groups)
