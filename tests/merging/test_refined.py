"""Filters and readers fitted together: loss and gradient against brute force, and what it is good for."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.channels import trace
from onnxdup.evaluation.data import as_dataset
from onnxdup.graph import Document, parse
from onnxdup.graph.expose import with_outputs
from onnxdup.merging import METHODS, Problem, approximate_merge
from onnxdup.merging.compensation.refined import outgoing
from onnxdup.merging.moments import folded_fits, gaussian_of, moments_of
from onnxdup.merging.moments.feed import COLOUR, IMAGE, distances
from onnxdup.merging.moments.projection import Projection
from onnxdup.reduce import merge
from onnxdup.runtime import Session

RNG = np.random.default_rng(17)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _drawn_alike() -> None:
    """Every test draws the same numbers, in whatever order tests run."""
    RNG.bit_generator.state = START


def mlp(n: int = 24, activation: str = "Relu", bias: bool = True) -> Document:
    gemm = "Gemm<transB=1>(x,w1,b1)" if bias else "Gemm<transB=1>(x,w1)"
    text = f"""<ir_version: 8, opset_import: ["": 17]> g (float[N,12] x) => (float[N,4] y) {{
      a={gemm} r={activation}(a) y=Gemm<transB=1>(r,w2,b2) }}"""
    shapes = {"w1": (n, 12), "w2": (4, n), "b2": (4,)} | ({"b1": (n,)} if bias else {})
    return parse(text, **{k: RNG.normal(size=d).astype("f4") * 0.4 for k, d in shapes.items()})


def conv_net(two: bool = False) -> Document:
    """Batch normalisation, a 3 × 3 reader, and with `two` a 1 × 1 reader beside it."""
    beside = "u=Conv(r,w4) t=GlobalAveragePool(u) v=Add(p,t)" if two else "v=Identity(p)"
    text = f"""<ir_version: 8, opset_import: ["": 17]> g (float[N,3,10,10] x) => (float[N,5] y) {{
      a=Conv(x,w1) n=BatchNormalization(a,s,o,m,q) r=Relu(n)
      c=Conv(r,w2,b2) p=GlobalAveragePool(c) {beside} f=Flatten(v)
      y=Gemm<transB=1>(f,w3,b3) }}"""
    shapes = {"w1": (10, 3, 3, 3), "o": (10,), "w2": (8, 10, 3, 3), "b2": (8,), "w3": (5, 8), "b3": (5,)}
    shapes |= {"w4": (8, 10, 1, 1)} if two else {}
    held = {k: RNG.normal(size=d).astype("f4") * 0.3 for k, d in shapes.items()}
    scale = RNG.uniform(0.5, 1.5, 10).astype("f4")
    document = parse(text, s=scale, q=np.ones(10, "f4"), m=np.zeros(10, "f4"), **held)
    seen = run(document, "a", images(10))
    edit = document.edit()
    edit.set_tensor("m", seen.mean((0, 2, 3)))
    edit.set_tensor("q", seen.var((0, 2, 3)))
    return edit.finish()


def images(size: int, count: int = 500) -> np.ndarray:
    """Drawn from what is assumed of images: smooth in space, alike in colour."""
    root = np.linalg.cholesky(IMAGE ** distances((size, size), (0.0, 0.0)))
    mix = np.linalg.cholesky(np.full((3, 3), COLOUR) + (1 - COLOUR) * np.eye(3))
    drawn = np.einsum("cd,nds,ts->nct", mix, RNG.normal(size=(count, 3, size * size)), root)
    return drawn.reshape(count, 3, size, size).astype("f4")


def run(document: Document, value: str, x: np.ndarray) -> np.ndarray:
    with Session.open(with_outputs(document, [value]), provider="cpu") as session:
        return np.asarray(session.run({"x": x}, [value])[value])


def projection(document: Document, keep: np.ndarray, free: bool = True) -> tuple[Problem, Projection]:
    traced = trace(document)
    problem = Problem.of(traced, traced.group("w1"))
    gaussian = gaussian_of(problem)
    assert gaussian is not None
    return problem, Projection(gaussian, outgoing(problem), keep, free)


NETS = {"mlp": mlp, "tanh": lambda: mlp(activation="Tanh"), "conv": conv_net, "two": lambda: conv_net(True)}


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("net", NETS)
def test_the_gradient_is_the_difference_quotient(net: str, free: bool) -> None:
    """Also through joint taps, and with two readers of different kernels. Kinks on a grid cost digits."""
    _, loss = projection(NETS[net](), np.array([0, 3, 4, 8]), free)
    x = loss.start + 0.1 * RNG.normal(size=loss.start.shape)
    _, gradient = loss(x)
    for _ in range(4):
        way = RNG.normal(size=x.shape)
        step = 1e-3
        quotient = (loss(x + step * way)[0] - loss(x - step * way)[0]) / (2 * step)
        assert gradient @ way == pytest.approx(quotient, rel=0.02, abs=0.02 * np.linalg.norm(gradient))


def test_the_loss_is_what_least_squares_leaves_on_samples() -> None:
    """Brute force: pre-activations drawn, readers fitted to what they make of the drawn units."""
    problem, loss = projection(mlp(), np.array([1, 2, 5, 9, 11, 20]))
    x = loss.start + 0.3 * RNG.normal(size=loss.start.shape)
    mix, offset = loss.units(x)
    rows = problem.blocks[0].rows(problem.reader)
    z = RNG.normal(size=(200_000, 12)) @ rows[:, :-1].T + rows[:, -1]
    h, units = np.maximum(z, 0), np.maximum(z @ mix.T + offset, 0)
    y = h @ outgoing(problem)[0].T
    y -= y.mean(0)
    units -= units.mean(0)
    left = y - units @ np.linalg.lstsq(units, y, rcond=None)[0]
    assert loss(x)[0] == pytest.approx((left**2).sum() / (y**2).sum(), rel=0.02)


@pytest.mark.parametrize("net", NETS)
def test_the_loss_is_what_the_fits_of_the_same_mixture_leave(net: str) -> None:
    """Joint taps: the moments of mixed channels, computed without derivatives, say the same."""
    keep = np.array([0, 2, 7])
    problem, loss = projection(NETS[net](), keep)
    x = loss.start + 0.2 * RNG.normal(size=loss.start.shape)
    mix, offset = loss.units(x)
    fits, moments = folded_fits(problem, mix, keep, offset), moments_of(problem)
    assert fits is not None and moments is not None
    error = power = 0.0
    for fit, whole, w in zip(fits, moments, outgoing(problem), strict=True):
        u, _ = fit.solve()
        power += float(np.trace(w @ whole.centred @ w.T))
        error += float(np.trace(w @ (whole.centred - u @ fit.centred_cross.T) @ w.T))
        assert fit.explained(w) == pytest.approx(np.trace(w @ u @ fit.centred_cross.T @ w.T), rel=1e-6)
    assert loss(x)[0] == pytest.approx(error / power, rel=1e-3)


def drift(document: Document, method: str, keep: float) -> float:
    """Squared error of what the readers put out over its variance, on inputs as the prior has them."""
    reduced = merge(document, 0.5, method, keep=keep, include=["w1"])
    assert reduced.after.group("w1").size == round(keep * reduced.before.group("w1").size)
    x = images(10) if "w3" in document.weights else RNG.normal(size=(2000, 12)).astype("f4")
    error = power = 0.0
    for value in (s.node.outputs[0] for s in reduced.before.group("w1").sinks):
        before, after = run(document, value, x), run(reduced.document, value, x)
        spread = before - before.mean(tuple(k for k in range(before.ndim) if k != 1), keepdims=True)
        error, power = error + ((before - after) ** 2).sum(), power + (spread**2).sum()
    return float(error / power)


NETS_TO_CUT = {**NETS, "without bias": lambda: mlp(bias=False)}


@pytest.mark.parametrize("net", NETS_TO_CUT)
def test_moved_filters_serve_better_than_chosen_ones(net: str) -> None:
    """Half of the filters of three nets, on inputs that nobody was shown."""
    documents = [NETS_TO_CUT[net]() for _ in range(3)]
    moved, chosen = (sum(drift(d, method, 0.5) for d in documents) for method in ("refine", "obs"))
    assert moved < 0.85 * chosen


def test_duplicates_are_found_without_loss_and_rows_stay_as_they_are() -> None:
    document = mlp(16)
    edit = document.edit()
    w1, b1, w2 = (document.weights.array(k).copy() for k in ("w1", "b1", "w2"))
    for j in range(4):
        w1[12 + j], b1[12 + j] = 2 * w1[j], 2 * b1[j]
    edit.set_tensor("w1", w1)
    edit.set_tensor("b1", b1)
    edit.set_tensor("w2", w2)
    traced = trace(edit.finish())
    found = approximate_merge(METHODS["refine"], traced.group("w1"), traced, 0.5, count=12)
    assert found is not None and len(found.keep) == 12
    for j in range(4):
        assert len({j, 12 + j} & set(found.keep.tolist())) == 1
    mix = next(iter(found.combine.values())).toarray()
    assert (mix == np.eye(16)[found.keep]).all()


def deep() -> Document:
    """The means of what the second layer reads are in no file."""
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[N,12] x) => (float[N,4] y) {
      s=Gemm<transB=1>(x,w0,b0) t=Relu(s) a=Gemm<transB=1>(t,w1,b1) r=Relu(a) y=Gemm<transB=1>(r,w2,b2) }"""
    shapes = {"w0": (20, 12), "b0": (20,), "w1": (24, 20), "b1": (24,), "w2": (4, 24), "b2": (4,)}
    return parse(text, **{k: RNG.normal(size=d).astype("f4") * 0.4 for k, d in shapes.items()})


def test_where_nobody_knows_the_means_only_readers_are_fitted() -> None:
    document = deep()
    reduced = [merge(document, 0.5, m, keep=0.5, include=["w1"]).document for m in ("obs", "refine")]
    for name in ("w1", "b1", "w2"):
        assert (reduced[0].weights.array(name) == reduced[1].weights.array(name)).all()


def test_calibration_tells_the_means_and_what_moved_filters_give() -> None:
    document, x = deep(), RNG.normal(size=(2000, 12)).astype("f4")
    data = as_dataset({"x": RNG.normal(size=(400, 12)).astype("f4")}, document)
    before, error = run(document, "y", x), {}
    for method in ("obs", "refine"):
        reduced = merge(document, 0.5, method, keep=0.5, include=["w1"], calibration=data)
        error[method] = float(((before - run(reduced.document, "y", x)) ** 2).sum())
    assert error["refine"] < 0.8 * error["obs"]


def test_channels_that_a_reader_has_twice_are_cut_with_data_too() -> None:
    """Data look at one tap of them, analytic moments at nine: then only the readers are fitted."""
    text = """<ir_version: 8, opset_import: ["": 17]> g (float[N,3,8,8] x) => (float[N,4,8,8] y) {
      a=Conv<pads=[1,1,1,1]>(x,w1,b1) r=Relu(a) c=Concat<axis=1>(r,r) y=Conv<pads=[1,1,1,1]>(c,w2,b2) }"""
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (4, 16, 3, 3), "b2": (4,)}
    document = parse(text, **{k: RNG.normal(size=d).astype("f4") * 0.4 for k, d in shapes.items()})
    data = as_dataset({"x": RNG.normal(size=(32, 3, 8, 8)).astype("f4")}, document)
    for method in ("ward", "refine"):
        reduced = merge(document, 0.5, method, keep=0.5, calibration=data)
        assert reduced.after.group("w1").size == 4
