"""Combinations on their way: every kind of reader, movement and branch; mutants of the rules; reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.bench import random_of, serialise
from laws.dependence import Net, dependent, mlp, opposite

import onnxdup
from onnxdup.channels import combination, mixing, parity, trace
from onnxdup.channels.relation import Array
from onnxdup.graph import load
from onnxdup.merging import basis, dependence, exact_merge
from onnxdup.reduce import merge
from onnxdup.reporting.ledger import derive, ledger_of

ERROR = {False: 1e-5, True: 1e-11}
ROWS = 8
FLAT = np.array([0, -1], np.int64)
Weights = dict[str, np.ndarray]


def image(rows: np.ndarray) -> Weights:
    """w1 (n, 3, 2, 2) and b1 of rows of 13 entries."""
    return {"w1": rows[:, :-1].reshape(-1, 3, 2, 2), "b1": rows[:, -1]}


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """A weight of variance one."""
    return rng.normal(size=shape)


PATHS: dict[str, tuple[str, Callable[[np.random.Generator, int], Weights]]] = {
    "convolution": ("c=Conv(h,w2) y=GlobalAveragePool(c)", lambda r, n: {"w2": normal(r, 5, n, 2, 2)}),
    "flatten": (
        "f=Flatten(h) g=Gemm<transB=1>(f,w2) y=Unsqueeze(g,ax)",
        lambda r, n: {"w2": normal(r, 5, 36 * n), "ax": np.array([2, 3])},
    ),
    "channels last": (
        "t=Transpose<perm=[0,2,3,1]>(h) f=Reshape(t,flat) g=MatMul(f,w2) y=Unsqueeze(g,ax)",
        lambda r, n: {"w2": normal(r, 36 * n, 5), "flat": FLAT, "ax": np.array([2, 3])},
    ),
    "transposed convolution": (
        "c=ConvTranspose<strides=[2,2]>(h,w2) y=GlobalAveragePool(c)",
        lambda r, n: {"w2": normal(r, n, 5, 3, 3)},
    ),
    "padded convolution": (
        "c=Conv<pads=[1,1,1,1]>(h,w2) y=GlobalAveragePool(c)",
        lambda r, n: {"w2": normal(r, 5, n, 3, 3)},
    ),
    "means": (
        "m=ReduceMean<axes=[2,3]>(h) c=Conv(m,w2) y=Identity(c)",
        lambda r, n: {"w2": normal(r, 5, n, 1, 1)},
    ),
    "sums": (
        "m=ReduceSum(h,ax) c=Conv(m,w2) y=Identity(c)",
        lambda r, n: {"w2": normal(r, 5, n, 1, 1), "ax": np.array([2, 3])},
    ),
    "resized": (
        'u=Resize<mode="linear">(h,,sc) c=Conv(u,w2) y=GlobalAveragePool(c)',
        lambda r, n: {"w2": normal(r, 5, n, 2, 2), "sc": np.array([1, 1, 2, 2], np.float32)},
    ),
    "padded": (
        "p=Pad(h,pads) c=Conv(p,w2) y=GlobalAveragePool(c)",
        lambda r, n: {"w2": normal(r, 5, n, 2, 2), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
    ),
    "batch normalisation": (
        "m=BatchNormalization(h,g,t,v,s) c=Conv(m,w2) y=GlobalAveragePool(c)",
        lambda r, n: {
            "w2": normal(r, 5, n, 2, 2),
            "g": normal(r, n),
            "t": normal(r, n),
            "v": normal(r, n),
            "s": r.uniform(0.5, 1.5, n),
        },
    ),
    "two readers": (
        "c=Conv(h,w2) d=Mul(h,s) e=Conv(d,w3) f=Add(c,e) y=GlobalAveragePool(f)",
        lambda r, n: {
            "w2": normal(r, 5, n, 2, 2),
            "w3": normal(r, 5, n, 2, 2),
            "s": r.uniform(0.5, 1.5, (n, 1, 1)),
        },
    ),
    "concatenation": (
        "k=Concat<axis=1>(h,x3) c=Conv(k,w2) y=GlobalAveragePool(c)",
        lambda r, n: {"w2": normal(r, 5, n + 3, 2, 2)},
    ),
    "channels in halves": (
        "p,q=Split<axis=1,num_outputs=2>(h) k=Concat<axis=1>(q,p) c=Conv(k,w2) y=GlobalAveragePool(c)",
        lambda r, n: {"w2": normal(r, 5, n, 2, 2)},
    ),
}
NO_COMBINATION = {"channels in halves"}
SHIFTS = {"padded convolution", "transposed convolution", "padded"}
"""Where no bias can take up a constant: directions count with their biases."""
PREFIX = {
    "linear": "h=Conv(x,w1,b1)",
    "relu": "a=Conv(x,w1,b1) h=Relu(a)",
    "silu": "a=Conv(x,w1,b1) sg=Sigmoid(a) h=Mul(a,sg)",
}


def net_of(kind: str, path: str, *, wide: bool) -> Net:
    """A convolution with two superfluous channels, then the path."""
    rng = random_of(kind, path)
    linear = kind == "linear"
    rows = dependent(rng, 8, 6, 13) if linear else opposite(rng, 5, 3, 2, width=13)
    body, more = PATHS[path]
    crop = "st=Constant<value_ints=[0,0]>() x3=Slice(x,st,en,ax3) " if "x3" in body else ""
    extra = {"en": np.array([6, 6]), "ax3": np.array([2, 3])} if crop else {}
    weights = {**image(rows), **more(rng, len(rows)), **extra}
    return Net(
        f"{crop}{PREFIX[kind]} {body}",
        weights,
        (3, 7, 7),
        (5, 1, 1),
        opset=18 if "ReduceMean<" not in body else 17,
        wide=wide,
    )


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", PREFIX)
def test_every_reader_takes_combinations(kind: str, path: str, wide: bool) -> None:
    net = net_of(kind, path, wide=wide)
    found, error = net.reduced()
    assert error <= ERROR[wide]
    assert found.removed == (0 if path in NO_COMBINATION else 2)
    assert derive(found.before.document, found.document, ledger_of(found.plan, 4.0)).status == "passed"
    small = merge(load(serialised(net)), 1.0)
    assert small.removed == 0


def serialised(net: Net) -> Any:
    """The reduced model, read back."""
    import onnx

    return onnx.ModelProto.FromString(serialise(net.reduced()[0].document))


def test_values_of_a_single_head() -> None:
    rng = random_of("attention")
    weights = {
        "wq": normal(rng, 12, 6),
        "wk": normal(rng, 12, 6),
        "wv": dependent(rng, 9, 4, 12).T,
        "wo": normal(rng, 9, 5),
    }
    body = (
        "q=MatMul(x,wq) k=MatMul(x,wk) v=MatMul(x,wv) t=Transpose<perm=[0,2,1]>(k) s=MatMul(q,t) "
        "p=Softmax<axis=-1>(s) o=MatMul(p,v) y=MatMul(o,wo)"
    )
    for wide in (False, True):
        found, error = Net(body, weights, (6, 12), (6, 5), wide=wide).reduced()
        assert found.removed == 5 and error <= ERROR[wide]


def test_a_stream_of_bottlenecks() -> None:
    """Linear bottlenecks that are added up and read by several expansions."""
    rng = random_of("bottlenecks")
    both = dependent(rng, 8, 5, 24)
    weights = {
        "w1": both[:, :12].reshape(8, 3, 2, 2),
        "w2": normal(rng, 10, 8, 1, 1),
        "w3": np.concatenate([both[:, 12:], np.zeros((8, 0))], 1)[:, :10].reshape(8, 10, 1, 1),
        "w4": normal(rng, 5, 8, 1, 1),
    }
    body = "a=Conv(x,w1) b=Conv(a,w2) r=Relu(b) c=Conv(r,w3) h=Add(a,c) d=Conv(h,w4) y=GlobalAveragePool(d)"
    for wide in (False, True):
        found, error = Net(body, weights, (3, 7, 7), (5, 1, 1), wide=wide).reduced()
        assert found.removed == 3 and error <= ERROR[wide]


@pytest.mark.parametrize("kind", ["linear", "relu", "silu"])
def test_reports_count_what_merges_remove(kind: str) -> None:
    document = load(net_of(kind, "convolution", wide=False).model())
    report = onnxdup.report(document, taus=(1.0,))
    assert report.totals.taus[0].removable == merge(document, 1.0).removed == 2


@pytest.mark.parametrize("ulps", [0.0])
def test_bit_equality_admits_no_sums(ulps: float) -> None:
    document = load(net_of("linear", "convolution", wide=False).model())
    assert merge(document, 1.0, ulps=ulps).removed == 0


@given(st.integers(0, 2**31), st.sampled_from(["relu", "gelu", "silu", "leaky"]), st.booleans())
def test_random_pairs(seed: int, name: str, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    body = {
        "relu": "r=Relu(a)",
        "gelu": "r=Gelu(a)",
        "silu": "s=Sigmoid(a) r=Mul(a,s)",
        "leaky": "r=LeakyRelu<alpha=0.1>(a)",
    }
    pairs = int(rng.integers(2, 8))
    rank = int(rng.integers(1, pairs + 1))
    rows = opposite(rng, pairs, rank, int(rng.integers(0, 4)), scaled=name in ("relu", "leaky"))
    found, error = mlp(body[name], rows, rng, wide=wide).reduced()
    assert error <= ERROR[wide]
    if rank > 1:
        assert found.removed == pairs - rank
    order = rng.permutation(len(rows))
    assert mlp(body[name], rows[order], rng, wide=wide).reduced()[0].removed == found.removed


# ---- the rules have teeth ----------------------------------------------------------------------------------
def unproven(_rows: Any, j: np.ndarray, _a: Array, *_rest: Any) -> tuple[Array, np.ndarray]:
    """Entries are not compared."""
    return np.zeros(len(j)), np.ones(len(j), bool)


def scales_everything(patch: pytest.MonkeyPatch) -> None:
    """Pairs of Gelu need no equal sizes."""
    patch.setattr(parity.Path, "homogeneous", property(lambda self: True))


def forgets_shifts(patch: pytest.MonkeyPatch) -> None:
    """Zero padding and biases are forgotten."""
    patch.setattr(combination.Combination, "no_shift", property(lambda self: np.ones(len(self.ok), bool)))
    found = mixing.forms
    patch.setattr(dependence, "forms", lambda p, r: replace(found(p, r), strict=(), late=False))


def pools_are_linear(patch: pytest.MonkeyPatch) -> None:
    """A maximum is taken for linear."""
    from onnxdup.channels.transfer import Maximum, Same

    linear = parity.is_linear
    patch.setattr(parity, "is_linear", lambda t: linear(t) or isinstance(t, Maximum))
    push = combination.pushed
    patch.setattr(mixing, "pushed", lambda t, k, r: push(Same() if isinstance(t, Maximum) else t, k, r))


def loose(patch: pytest.MonkeyPatch) -> None:
    """Nearly dependent counts as dependent."""
    patch.setattr(dependence, "agreement", unproven)
    patch.setattr(basis, "MARGIN", 2.0**14)


def ignores_scales(patch: pytest.MonkeyPatch) -> None:
    """Scales behind the activation are forgotten."""
    patch.setattr(combination, "_scaled", lambda step, c, reader: c)


def same_slopes(patch: pytest.MonkeyPatch) -> None:
    """Slopes of PRelu are forgotten."""
    patch.setattr(parity.Path, "slopes", property(lambda self: None))


def gelu_sizes() -> Net:
    """Pairs of different sizes."""
    rng = random_of("sizes")
    return mlp("r=Gelu(a)", opposite(rng, 5, 3, scaled=True), rng)


def padded_biases() -> Net:
    """Directions that depend on each other but for their biases, before zero padding."""
    rng = random_of("padded")
    rows = dependent(rng, 6, 4, 13)
    rows[:, -1] = rng.normal(size=6)
    return Net(
        "a=Conv(x,w1,b1) c=Conv<pads=[1,1,1,1]>(a,w2) y=GlobalAveragePool(c)",
        {**image(rows), "w2": normal(rng, 5, 6, 3, 3)},
        (3, 7, 7),
        (5, 1, 1),
    )


def pooled() -> Net:
    """A maximum behind the pairs."""
    rng = random_of("pooled")
    rows = opposite(rng, 5, 3, 2, width=13)
    body = "a=Conv(x,w1,b1) r=Relu(a) m=MaxPool<kernel_shape=[2,2]>(r) c=Conv(m,w2) y=GlobalAveragePool(c)"
    return Net(body, {**image(rows), "w2": normal(rng, 5, len(rows), 1, 1)}, (3, 7, 7), (5, 1, 1))


def nearly() -> Net:
    """A dependence but for 1e-4."""
    rng = random_of("nearly")
    rows = dependent(rng, 6, 4)
    return mlp("r=Identity(a)", rows * (1 + 1e-4 * rng.normal(size=rows.shape)), rng)


def scaled_after() -> Net:
    """Scales of its own for each unit behind the activation."""
    rng = random_of("after")
    rows = opposite(rng, 5, 3)
    net = mlp("q=Relu(a) r=Mul(q,m)", rows, rng)
    return net.with_weight("m", rng.uniform(0.5, 2.0, len(rows)))


def sloped() -> Net:
    """Slopes of its own for each unit."""
    rng = random_of("sloped")
    rows = opposite(rng, 5, 3)
    return mlp("r=PRelu(a,m)", rows, rng).with_weight("m", rng.uniform(0.1, 0.8, len(rows)))


MUTANTS = {
    "Gelu scales": (scales_everything, gelu_sizes),
    "shifts pass zero padding": (forgets_shifts, padded_biases),
    "a maximum is linear": (pools_are_linear, pooled),
    "entries are not compared": (loose, nearly),
    "scales are ignored": (ignores_scales, scaled_after),
    "slopes are ignored": (same_slopes, sloped),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, make = MUTANTS[name]
    net = make()
    assert net.reduced()[1] <= ERROR[False]
    with monkeypatch.context() as patch:
        change(patch)
        found, error = net.reduced()
    assert found.removed > 0
    assert error > ERROR[False]
    assert derive(found.before.document, found.document, ledger_of(found.plan, 4.0)).status == "failed"


def test_nothing_is_looked_for_where_nothing_can_be() -> None:
    """Groups with a Tanh are not examined, and independent rows cost one factorisation."""
    rng = random_of("cost")
    traced = trace(load(mlp("r=Tanh(a)", rng.normal(size=(6, 13)), rng).model()))
    group = next(g for g in traced.groups if not g.frozen)
    assert dependence.candidate_path(group) is None
    assert exact_merge(group, traced.reader(group)) is None
