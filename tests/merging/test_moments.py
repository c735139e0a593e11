"""Analytic moments against sampling, and the method that stands on them."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.channels import trace
from onnxdup.evaluation import compare
from onnxdup.graph import parse
from onnxdup.merging import METHODS
from onnxdup.merging.moments import Analytic, gram, hermite_coefficients
from onnxdup.merging.moments.sinks import solved
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection.obs import eliminate
from onnxdup.reduce import merge

RNG = np.random.default_rng(5)


def relu(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0)


def test_gram_of_relu_is_the_arc_cosine_kernel() -> None:
    """Cho and Saul 2009, degree 1: E[relu(u) relu(v)] = (sin t + (pi - t) cos t) / 2 pi."""
    rho = np.array([-0.9, -0.3, 0.0, 0.4, 0.8])
    angle = np.arccos(rho)
    expected = (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)
    a = hermite_coefficients(np.zeros(1), np.ones(1), relu)
    found = np.array([gram(a, a, np.array([[r]]))[0, 0] for r in rho])
    assert np.abs(found - expected).max() < 2e-4


def test_moments_of_shifted_activations_agree_with_sampling() -> None:
    mean, spread = np.array([0.5, -1.0, 0.2]), np.array([1.0, 0.7, 2.0])
    mix = RNG.normal(size=(3, 3))
    rho = mix @ mix.T
    rho /= np.sqrt(np.outer(np.diag(rho), np.diag(rho)))
    z = mean + spread * (RNG.normal(size=(400_000, 3)) @ np.linalg.cholesky(rho).T)
    h = np.tanh(z)
    a = hermite_coefficients(mean, spread, np.tanh)
    assert np.abs(a[:, 0] - h.mean(0)).max() < 5e-3
    assert np.abs(gram(a, a, rho) - h.T @ h / len(h)).max() < 5e-3


CONV = """g (float[N,3,12,12] x) => (float[N,5] y) {
 a=Conv<pads=[1,1,1,1]>(x,w1) n=BatchNormalization(a,s,o,m,v) r=Relu(n)
 c=Conv<pads=[1,1,1,1]>(r,w2,b2) q=Relu(c) p=GlobalAveragePool(q) f=Flatten(p) y=Gemm<transB=1>(f,w3,b3) }"""


def conv_net(copies: int = 0):  # type: ignore[no-untyped-def]
    w1 = RNG.normal(size=(10, 3, 3, 3)).astype("f4") * 0.3
    s, o = (RNG.uniform(0.5, 1.5, 10).astype("f4") for _ in range(2))
    m, v = RNG.normal(size=10).astype("f4") * 0.1, RNG.uniform(0.5, 1.5, 10).astype("f4")
    for j in range(copies):
        for p in (w1, s, o, m, v):
            p[9 - j] = p[j]
    rest = {"w2": (8, 10, 3, 3), "b2": (8,), "w3": (5, 8), "b3": (5,)}
    drawn = {k: RNG.normal(size=d).astype("f4") * 0.2 for k, d in rest.items()}
    return parse(f'<ir_version: 8, opset_import: ["": 17]> {CONV}', w1=w1, s=s, o=o, m=m, v=v, **drawn)


def test_joint_moments_are_a_covariance_over_channels_and_taps() -> None:
    traced = trace(conv_net())
    group = traced.group("w1")
    moments = Analytic(traced).of(Problem.of(traced, group))
    assert moments is not None
    (found,) = moments
    assert found.taps == 9 and found.known
    assert found.centred.shape == (90, 90)
    assert np.linalg.eigvalsh(found.centred).min() > -1e-6 * np.trace(found.centred)


def test_elimination_pays_nothing_for_duplicates() -> None:
    rows = RNG.normal(size=(6, 40))
    rows[4], rows[5] = rows[1], 2 * rows[0]
    sequence, paid = eliminate(rows @ rows.T / 40, RNG.normal(size=(3, 6)), 1, 4)
    gone = set(sequence.tolist())
    assert len({0, 5} & gone) == 1 and len({1, 4} & gone) == 1
    assert paid.max() < 1e-4


def brute_force(moment: np.ndarray, v: np.ndarray, keep: np.ndarray) -> float:
    """Squared error of the outputs when the kept ones are refitted."""
    u = np.linalg.solve(moment[np.ix_(keep, keep)], moment[keep]).T
    rest = np.eye(len(moment))
    rest[:, keep] -= u
    return float(np.trace(v @ rest @ moment @ rest.T @ v.T))


@pytest.mark.parametrize("taps", [1, 3])
def test_costs_add_up_to_the_error_after_refitting(taps: int) -> None:
    """More removals than are down-dated at once; each cost is exactly what the error grows by."""
    n = 120 // taps
    mix = RNG.normal(size=(n * taps, 300))
    moment, v = mix @ mix.T / 300, RNG.normal(size=(7, n * taps))
    sequence, paid = eliminate(moment, v, taps)
    assert len(sequence) == n - 1 and len(set(sequence.tolist())) == n - 1
    for count in (1, n // 2, n - 2):
        kept = np.setdiff1d(np.arange(n), sequence[:count])
        places = (kept[:, None] * taps + np.arange(taps)).ravel()
        assert paid[:count].sum() == pytest.approx(brute_force(moment, v, places), rel=1e-3)


def test_moments_that_rounding_made_indefinite_are_solved_in_the_rest() -> None:
    vectors, _ = np.linalg.qr(RNG.normal(size=(6, 6)))
    moment = (vectors * np.array([5.0, 4, 3, 2, 1, -0.5])) @ vectors.T
    found = solved(moment, vectors)
    assert np.abs(found[:, :5] - vectors[:, :5] / np.array([5.0, 4, 3, 2, 1])).max() < 1e-4
    assert np.abs(found[:, 5]).max() < 1e-9


def test_weights_that_overflow_have_no_moments_and_are_merged_without() -> None:
    document = conv_net(copies=2)
    huge = document.edit()
    huge.set_tensor("w1", (document.weights.array("w1") * np.float32(1e30)).astype("f4"))
    huge.set_tensor("s", np.full(10, 3e38, "f4"))
    model = huge.finish()
    for method in ("cluster", "obs", "ward", "dpp"):
        assert merge(model, 0.5, method, include=["w1"]).after.group("w1").size <= 10


@pytest.mark.parametrize(("keep", "share"), [(0.8, 0.5), (0.5, 0.9)])
def test_surgeon_with_least_squares_beats_cutting(keep: float, share: float) -> None:
    """On the same channels count the outputs move less than with norm pruning; padding and taps included."""
    document = conv_net(copies=2)
    errors = {}
    for method in ("norm", "obs"):
        reduced = merge(document, 0.5, method, keep=keep, include=["w1"])
        assert reduced.after.group("w1").size <= round(keep * 10)
        errors[method] = (
            compare(document, reduced.document, samples=16, provider="cpu").fidelity[0].mean_absolute_error
        )
    assert errors["obs"] < share * errors["norm"]


def test_every_method_of_the_table_gives_a_model_that_runs() -> None:
    document = conv_net()
    for name in METHODS:
        reduced = merge(document, 1.0 if name == "exact" else 0.3, name)
        assert compare(document, reduced.document, samples=4, provider="cpu").finite, name


def test_patterns_name_the_layers_whose_filters_are_merged() -> None:
    """A consumer's name does not select the group that it reads."""
    reduced = merge(conv_net(), 0.5, "norm", keep=0.5, include=["w2"])
    assert reduced.after.group("w1").size == 10
    assert reduced.after.group("w2").size == 4
