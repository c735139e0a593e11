"""Relations among more than two units: planted ones are merged, near misses are not, the function stays."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.dependence import INPUTS, Net, dependent, mlp, nudged, opposite
from onnx import numpy_helper, parser

from onnxdup.channels.rules.pointwise import ACTIVATIONS
from onnxdup.channels.transfer import Pointwise
from onnxdup.graph import load
from onnxdup.merging import MergePlan
from onnxdup.reduce import Reduction, merge, replay
from onnxdup.reporting.ledger import derive, ledger_of, read

ERROR = {False: 5e-6, True: 1e-11}

SCALING = {
    "relu": "r=Relu(a)",
    "leaky_relu": "r=LeakyRelu<alpha=0.3>(a)",
    "relu_plus_identity": "t=Relu(a) r=Add(t,a)",
}
OTHERS = {
    "gelu": "r=Gelu(a)",
    "gelu_tanh": 'r=Gelu<approximate="tanh">(a)',
    "hard_swish": "r=HardSwish(a)",
    "softplus": "r=Softplus(a)",
    "silu": "s=Sigmoid(a) r=Mul(a,s)",
    "silu_swapped": "s=Sigmoid(a) r=Mul(s,a)",
    "hard_swish_by_hard_sigmoid": "s=HardSigmoid<alpha=0.16666667,beta=0.5>(a) r=Mul(a,s)",
    "relu_plus_even": "t=Relu(a) u=Abs(a) v=Cos(a) w=Mul(u,v) r=Add(t,w)",
}
CONSTANTS = {
    "clip": ("r=Clip(a,lo)", {"lo": np.array(0.0)}),
    "relu_times_a_number": ("t=Relu(a) r=Mul(t,c)", {"c": np.array(-2.5)}),
    "gelu_decomposed": (
        "d=Div(a,root) e=Erf(d) f=Add(e,one) m=Mul(a,f) r=Mul(m,half)",
        {"root": np.array(2**0.5), "one": np.array(1.0), "half": np.array(0.5)},
    ),
    "gelu_tanh_decomposed": (
        "p=Pow(a,three) q=Mul(p,c1) s=Add(a,q) t=Mul(s,c2) u=Tanh(t) v=Add(u,one) h=Mul(a,half) r=Mul(h,v)",
        {
            "three": np.array(3.0),
            "c1": np.array(0.044715),
            "c2": np.array(0.7978846),
            "one": np.array(1.0),
            "half": np.array(0.5),
        },
    ),
    "hard_swish_by_clip": (
        "t=Add(a,three) u=Clip(t,lo,hi) v=Mul(a,u) r=Div(v,hi)",
        {"three": np.array(3.0), "lo": np.array(0.0), "hi": np.array(6.0)},
    ),
}
FUNCTIONS = {
    **{k: (v, {}) for k, v in {**SCALING, **OTHERS}.items()},
    **CONSTANTS,
}
NOT_LEANING = {
    "tanh": "r=Tanh(a)",
    "elu": "r=Elu(a)",
    "mish": "r=Mish(a)",
    "selu": "r=Selu(a)",
    "shifted_relu": "o=Constant<value_float=1.0>() p=CastLike(o,a) t=Add(a,p) r=Relu(t)",
    "relu_squared": "t=Relu(a) r=Mul(t,t)",
    "relu_then_tanh": "t=Relu(a) r=Tanh(t)",
    "gate": "s=Sigmoid(a) t=Mul(a,s) r=Mul(t,a)",
}


def rng_of(*words: object) -> np.random.Generator:
    """A generator seeded by words."""
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def net_of(name: str, rows: np.ndarray, *, wide: bool = False) -> Net:
    """An MLP with one of the functions above."""
    body, extra = FUNCTIONS.get(name) or (NOT_LEANING[name], {})
    net = mlp(body, rows, rng_of(name), wide=wide)
    return Net(net.body, {**net.weights, **extra}, opset=20, wide=wide)


def removed(net: Net) -> int:
    """How many units go; the outputs must stay."""
    found, error = net.reduced()
    assert error <= ERROR[net.wide], (error, found.plan.entries)
    return found.removed


# ---- the functions -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_odd_parts_are_as_the_table_says(name: str) -> None:
    transfer = ACTIVATIONS[name]({})
    if not isinstance(transfer, Pointwise):
        return
    z = np.linspace(0.1, 6.0, 50)
    with np.errstate(all="ignore"):
        difference = (transfer.apply(z) - transfer.apply(-z)) / z
    level = bool(np.isfinite(difference).all()) and np.ptp(difference) < 1e-12
    assert transfer.lean is None or (level and abs(difference[0] - transfer.lean) < 1e-12)
    assert transfer.lean is not None or not level or np.allclose(difference, 0)


@pytest.mark.parametrize("attributes", [{"alpha": 0.3}, {"alpha": 2.0, "beta": 0.5}])
@pytest.mark.parametrize("name", ["LeakyRelu", "ParametricSoftplus", "Swish", "com.microsoft::QuickGelu"])
def test_odd_parts_follow_attributes(name: str, attributes: dict[str, float]) -> None:
    transfer, z = ACTIVATIONS[name](attributes), np.linspace(-3, 3, 41)
    assert isinstance(transfer, Pointwise) and transfer.lean is not None
    assert transfer.apply(z) - transfer.apply(-z) == pytest.approx(transfer.lean * z, abs=1e-12)


# ---- opposite pairs ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_opposite_pairs_lose_what_their_directions_lack(name: str, wide: bool) -> None:
    assert removed(net_of(name, opposite(rng_of(name), 6, 4), wide=wide)) == 2


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(SCALING))
def test_scaling_functions_need_opposite_directions_only(name: str, wide: bool) -> None:
    assert removed(net_of(name, opposite(rng_of(name), 5, 3, scaled=True), wide=wide)) == 2


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_other_functions_need_equal_sizes(name: str) -> None:
    assert removed(net_of(name, opposite(rng_of(name), 5, 3, scaled=True))) == 0


@pytest.mark.parametrize("name", sorted(NOT_LEANING))
def test_other_odd_parts_keep_opposite_pairs(name: str) -> None:
    rows = opposite(rng_of(name), 6, 4)
    even = mlp(NOT_LEANING[name], rows, rng_of(name), opset=20)
    found, error = even.reduced()
    assert error <= ERROR[False]
    assert not [e for e in found.plan.entries if e.terms]


@pytest.mark.parametrize("name", ["relu", "gelu", "silu"])
def test_independent_pairs_stay(name: str) -> None:
    assert removed(net_of(name, opposite(rng_of(name), 6, 6))) == 0


def test_two_sizes_of_one_gelu_pair() -> None:
    rng = rng_of("sizes")
    row = rng.normal(size=(1, INPUTS + 1))
    assert removed(net_of("gelu", np.concatenate([row, -row, 2 * row, -2 * row]))) == 1


@pytest.mark.parametrize("place", [(0, 3), (0, INPUTS)], ids=["weight", "bias"])
def test_a_nudged_direction_stays(place: tuple[int, int]) -> None:
    rng = rng_of("nudged")
    plus = dependent(rng, 4, 3)
    moved = nudged(plus, place, 1e-4)
    net = net_of("relu", np.concatenate([moved, -moved]))
    strict = mlp("s=Relu(a) r=Identity(s)", np.concatenate([moved, -moved]), rng)
    assert removed(net) == (1 if place[1] == INPUTS else 0)  # the next bias takes up what biases lack
    assert removed(strict) == removed(net)


@pytest.mark.parametrize("place", [(0, 3), (0, INPUTS)], ids=["weight", "bias"])
def test_a_nudged_pair_is_no_pair(place: tuple[int, int]) -> None:
    plus = dependent(rng_of("pair"), 4, 3)
    assert removed(net_of("relu", np.concatenate([nudged(plus, place, 1e-4), -plus]))) == 0


def test_biases_that_differ_are_absorbed_or_kept() -> None:
    rng = rng_of("biases")
    plus = dependent(rng, 4, 3)
    plus[:, -1] = rng.normal(size=4)
    rows = np.concatenate([plus, -plus])
    assert removed(net_of("relu", rows)) == 1
    conv = {"w1": rows[:, :-1].reshape(8, 12, 1, 1), "b1": rows[:, -1], "w2": rng.normal(size=(5, 8, 3, 3))}
    body = "a=Conv(x,w1,b1) r=Relu(a) c=Conv<pads=[{0},{0},{0},{0}]>(r,w2) y=GlobalAveragePool(c)"
    for pad, expected in ((0, 1), (1, 0)):
        image = Net(body.format(pad), conv, (12, 6, 6), (5, 1, 1))
        assert removed(image) == expected


def test_prelu_with_slopes_of_its_own() -> None:
    rng = rng_of("prelu")
    plus = dependent(rng, 5, 3)
    rows = np.concatenate([plus, -plus * rng.uniform(0.5, 2.0, (5, 1))])
    net = mlp("r=PRelu(a,s)", rows, rng)
    for slopes in (np.full(10, 0.25), rng.uniform(0.1, 0.8, 10)):
        for wide in (False, True):
            assert removed(Net(net.body, {**net.weights, "s": slopes}, wide=wide)) == 2
    ones = rng.uniform(0.1, 0.8, 10)
    ones[5:8] = 1.0  # such a unit does not bend: nothing spans its direction
    assert removed(Net(net.body, {**net.weights, "s": ones})) <= 2


def test_a_later_scale_and_shift_follow() -> None:
    rng = rng_of("batch norm")
    rows = opposite(rng, 6, 4, scaled=True)
    n = len(rows)
    norm = {k: rng.uniform(0.5, 1.5, n) for k in ("g", "v")} | {k: rng.normal(size=n) for k in ("m", "t")}
    net = mlp("q=Relu(a) r=BatchNormalization(q,g,t,m,v)", rows, rng)
    for wide in (False, True):
        assert removed(Net(net.body, {**net.weights, **norm}, wide=wide)) == 2


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ("q=AveragePool<kernel_shape=[2,2]>(r)", 2),
        ("q=AveragePool<kernel_shape=[3,3],pads=[1,1,1,1]>(r)", 2),
        ("q=MaxPool<kernel_shape=[2,2]>(r)", 0),
        ("q=Softmax<axis=3>(r)", 0),
        ("q=InstanceNormalization(r,g,t)", 0),
    ],
)
def test_only_linear_operators_follow(between: str, expected: int) -> None:
    rng = rng_of("pools")
    rows = opposite(rng, 6, 4, width=13)
    n = len(rows)
    weights = {
        "w1": rows[:, :-1].reshape(n, 3, 2, 2),
        "b1": rows[:, -1],
        "w2": rng.normal(size=(5, n, 1, 1)),
        "g": np.ones(n),
        "t": rng.normal(size=n),
    }
    used = {k: v for k, v in weights.items() if k in ("w1", "b1", "w2") or f",{k}" in between}
    body = f"a=Conv(x,w1,b1) r=Relu(a) {between} c=Conv(q,w2) y=GlobalAveragePool(c)"
    assert removed(Net(body, used, (3, 7, 7), (5, 1, 1))) == expected


# ---- linear dependence -------------------------------------------------------------------------------------
@given(st.integers(0, 2**31), st.integers(2, 14), st.integers(1, 14), st.booleans())
def test_linear_layers_fall_to_their_rank(seed: int, n: int, rank: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    rank = min(rank, n)
    rows = dependent(rng, n, rank)
    net = mlp("r=Identity(a)", rows, rng, wide=wide)
    assert removed(net) == n - min(rank, INPUTS)


def test_rank_counts_the_bias_where_nothing_absorbs_it() -> None:
    rng = rng_of("padded")
    weights = {
        "w1": dependent(rng, 6, 4, 12).reshape(6, 12, 1, 1),
        "b1": rng.normal(size=6),
        "w2": rng.normal(size=(5, 6, 3, 3)),
    }
    body = "a=Conv(x,w1,b1) c=Conv<pads=[{0},{0},{0},{0}]>(a,w2) y=GlobalAveragePool(c)"
    assert removed(Net(body.format(0), weights, (12, 6, 6), (5, 1, 1))) == 2
    assert removed(Net(body.format(1), weights, (12, 6, 6), (5, 1, 1))) == 1


@pytest.mark.parametrize("place", [(0, 3), (2, 7), (5, 0)])
@pytest.mark.parametrize("share", [1e-4, -1e-5])
def test_a_nudged_row_keeps_its_rank(place: tuple[int, int], share: float) -> None:
    rows = dependent(rng_of("row"), 6, 5)
    assert removed(mlp("r=Identity(a)", rows, rng_of("row"))) == 1
    assert removed(mlp("r=Identity(a)", nudged(rows, place, share), rng_of("row"))) == 0


def test_a_loud_input_does_not_hide_a_quiet_one() -> None:
    rng = rng_of("loud")
    rows = dependent(rng, 6, 4, INPUTS)
    rows[:, 0] *= 1e6
    rows[:, 5] *= 1e-6
    whole = np.concatenate([rows, np.zeros((6, 1))], 1)
    assert removed(mlp("r=Identity(a)", whole, rng)) == 2
    assert removed(mlp("r=Identity(a)", nudged(whole, (0, 5), 1e-3), rng)) == 1


@pytest.mark.parametrize("third", ["t=Relu(a)", "t=Tanh(a)", "t=Softmax<axis=1>(a)"])
def test_a_reader_that_is_not_linear_keeps_all(third: str) -> None:
    rng = rng_of(third)
    net = mlp(f"r=Identity(a) {third} z=Gemm<transB=1>(t,w3)", dependent(rng, 6, 4), rng)
    body = net.body.replace("y=Gemm", "u=Gemm") + " y=Add(u,z)"
    assert removed(Net(body, {**net.weights, "w3": rng.normal(size=(5, 6))})) == 0


def test_an_output_keeps_all() -> None:
    rng = rng_of("output")
    net = mlp("r=Identity(a)", dependent(rng, 5, 3), rng)
    body = net.body.replace("y=Gemm<transB=1>(r,w2,b2)", "y=Identity(r)")
    weights = {k: net.weights[k] for k in ("w1", "b1")}
    assert removed(Net(body, weights)) == 0


def test_two_branches_of_one_sum() -> None:
    rng = rng_of("residual")
    both = dependent(rng, 6, 4, 2 * INPUTS)
    weights = {
        "w1": both[:, :INPUTS],
        "w3": both[:, INPUTS:],
        "w2": rng.normal(size=(5, 6)),
        "w4": rng.normal(size=(5, 6)),
        "s": rng.uniform(0.5, 2.0, 6),
    }
    body = (
        "a=Gemm<transB=1>(x,w1) e=Relu(x) b=Gemm<transB=1>(e,w3) c=Mul(a,s) d=Mul(b,s) h=Add(c,d) "
        "p=Gemm<transB=1>(c,w2) q=Gemm<transB=1>(h,w4) y=Add(p,q)"
    )
    for wide in (False, True):
        assert removed(Net(body, weights, wide=wide)) == 2
    apart = {**weights, "w3": rng.normal(size=(6, INPUTS))}
    assert removed(Net(body, apart)) == 0


def test_low_rank_factors_wider_than_their_rank() -> None:
    rng = rng_of("factors")
    weights = {
        "w1": dependent(rng, 10, 3, 27).reshape(10, 3, 3, 3),
        "w2": rng.normal(size=(6, 10, 1, 1)),
        "w3": rng.normal(size=(5, 6)),
    }
    body = "a=Conv(x,w1) b=Conv(a,w2) r=Relu(b) g=GlobalAveragePool(r) f=Flatten(g) y=Gemm<transB=1>(f,w3)"
    assert removed(Net(body, weights, (3, 8, 8))) == 7


@pytest.mark.parametrize("kernels", ["equal", "different"])
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_filters_in_a_linear_path(kernels: str, multiplier: int) -> None:
    rng = rng_of("depthwise", kernels)
    one = rng.normal(size=(1 if kernels == "equal" else 6, multiplier, 3, 3))
    weights = {
        "w1": dependent(rng, 6, 4, 3).reshape(6, 3, 1, 1),
        "b1": rng.normal(size=6),
        "k": np.broadcast_to(one, (6, multiplier, 3, 3)).reshape(-1, 1, 3, 3),
        "c": rng.normal(size=6 * multiplier),
        "w2": rng.normal(size=(5, 6 * multiplier, 1, 1)),
    }
    body = "a=Conv(x,w1,b1) d=Conv<group=6>(a,k,c) e=Conv(d,w2) y=GlobalAveragePool(e)"
    count = removed(Net(body, weights, (3, 7, 7), (5, 1, 1)))
    assert count == 0 if kernels == "different" else count in ((2, 3) if multiplier == 1 else (0, 2, 3))


def test_duplicates_of_combinations_go_too() -> None:
    rng = rng_of("chain")
    rows = dependent(rng, 6, 4)
    doubled = np.concatenate([rows, -3 * rows])
    found, error = mlp("r=Identity(a)", doubled, rng).reduced()
    assert found.removed == 8 and error <= ERROR[False]
    assert {e.rule for e in found.plan.entries} >= {"linear combination"}


def test_half_precision_is_left_alone() -> None:
    rng = rng_of("half")
    rows = dependent(rng, 6, 4).astype(np.float16)
    weights = {"w1": rows[:, :-1], "w2": rng.normal(size=(5, 6)).astype(np.float16)}
    model = parser.parse_model(
        '<ir_version: 9, opset_import: ["": 20]>\n'
        "g (float16[N,12] x) => (float16[N,5] y) { a=Gemm<transB=1>(x,w1) y=Gemm<transB=1>(a,w2) }"
    )
    model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    assert merge(load(model), 1.0).removed == 0


# ---- plans and ledgers -------------------------------------------------------------------------------------
def reduction_of(name: str) -> tuple[Net, Reduction]:
    """A net with combinations of either kind, and its reduction."""
    rng = rng_of(name)
    rows = dependent(rng, 8, 5) if name == "linear" else opposite(rng, 6, 4)
    net = mlp("r=Identity(a)" if name == "linear" else "r=Relu(a)", rows, rng)
    return net, net.reduced()[0]


@pytest.mark.parametrize("name", ["linear", "pairs"])
def test_plans_with_terms_are_replayed(name: str) -> None:
    net, found = reduction_of(name)
    again = MergePlan.from_json(found.plan.to_json())
    assert again.to_json() == found.plan.to_json()
    assert all(len(e.terms) > 1 for e in again.entries)
    source = load(net.model())
    plan = MergePlan(source.sha256(), again.method, again.tau, again.rounds)
    small = replay(source, plan).document
    assert {n: small.weights.info(n).shape for n in small.weights} == {
        n: found.document.weights.info(n).shape for n in found.document.weights
    }


@pytest.mark.parametrize("name", ["linear", "pairs"])
def test_ledgers_with_terms_are_derived(name: str, tmp_path: Path) -> None:
    _, found = reduction_of(name)
    path = tmp_path / "ledger.json"
    path.write_text(ledger_of(found.plan, 4.0).to_json())
    ledger = read(path)
    assert ledger.entries == found.removed
    assert derive(found.before.document, found.document, ledger).status == "passed"


def test_plans_without_terms_keep_their_version() -> None:
    rng = rng_of("old")
    rows = rng.normal(size=(4, INPUTS + 1))
    plan = mlp("r=Relu(a)", np.concatenate([rows, 2 * rows]), rng).reduced()[0].plan
    content = json.loads(plan.to_json())
    assert content["onnxdup_plan"] == 1 and "terms" not in content["rounds"][0][0]["entries"][0]
