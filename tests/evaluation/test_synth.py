"""Made-up inputs: free dimensions found by role and trial, integers that index what they should."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from onnxdup.errors import CannotVerify, UsageError
from onnxdup.evaluation.ranges import index_limit
from onnxdup.evaluation.synth import plan_inputs, synthesise
from onnxdup.graph import parse
from onnxdup.runtime import Session

CONV = np.ones((2, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("g (float[batch, 3, height, width] x) => (float[a, b, c, d] y) { y = Conv (x, w) }", (2, 3, 64, 64)),
        ("g (float[N, p, q, r] x) => (float[a, b, c, d] y) { y = Conv (x, w) }", (2, 3, 64, 64)),
        ("g (float[N, h, h, 3] x) => (float[N, h, h, 3] y) { y = Relu (x) }", (2, 64, 64, 3)),
        ("g (float[N, T] x) => (float[N, T] y) { y = Relu (x) }", (2, 16)),
        ("g (float[5] x) => (float[5] y) { y = Relu (x) }", (5,)),
        ("g (float x) => (float y) { y = Relu (x) }", ()),
        ("g (float[10, 4] x) => (float[10, 4] y) { y = Relu (x) }", (10, 4)),
        ("g (float[N, M] x) => (float[a, b] y) { y = Reshape (x, four) }", (2, 64)),
        ("g (float[N, 4] x) => (float[1, 4] y) { y = Reshape (x, row) }", (1, 4)),
    ],
)
def test_free_dimensions(text: str, shape: tuple[int, ...]) -> None:
    model = parse(
        text.replace("[?, ?, ?, ?]", "[N, p, q, r]"), w=CONV, four=np.array([-1, 64]), row=np.array([1, 4])
    )
    feeds = synthesise(model)
    assert feeds["x"].shape == shape and feeds["x"].dtype == np.float32
    with Session.open(model, provider="cpu") as session:
        session.run(feeds)


def test_recurrent_states_follow_the_batch() -> None:
    text = """g (float[N, T, 8] x, float[2, B, 4] state) => (float[2, C, 4] y) {
      s = ReduceSum <keepdims = 0> (x, axes)
      column = Reshape (s, shape)
      y = Add (state, column)
    }"""
    feeds = synthesise(parse(text, axes=np.array([1, 2]), shape=np.array([-1, 1])), n=4)
    assert feeds["x"].shape == (4, 16, 8) and feeds["state"].shape == (2, 4, 4)


def test_one_name_is_one_size() -> None:
    text = """g (float[N, length, 3] x, bool[N, length] m) => (float[N, length, 3] y) {
      c = Cast <to = 1> (m)
      y = Relu (x)
    }"""
    feeds = synthesise(parse(text), shapes={"m": (3, 7)})
    assert feeds["x"].shape == (3, 7, 3) and feeds["m"].dtype == bool


EMBED = """g (int64[N, T] ids, int64[N, T] kind) => (float[N, T, 4] y) {
  i32 = Cast <to = 6> (ids)
  flat = Reshape (i32, minus)
  shifted = Add (flat, two)
  word = Gather (table, shifted)
  segment = Gather (segments, kind)
  k = ReduceSum <keepdims = 0> (segment)
  y = Add (word, k)
}"""


def test_ids_stay_below_the_table_they_index() -> None:
    model = parse(
        EMBED,
        minus=np.array([-1]),
        two=np.int32(2),
        table=np.ones((12, 4), np.float32),
        segments=np.ones((2, 4), np.float32),
    )
    assert (index_limit(model, "ids"), index_limit(model, "kind")) == (10, 2)
    plan = plan_inputs(model)
    drawn = np.concatenate([plan.draw(seed)["ids"].ravel() for seed in range(20)])
    assert drawn.min() == 0 and drawn.max() == 9 and drawn.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("g (float[N] x) => (float[N] y) { i = Cast <to = 7> (x) y = Gather (v, i) }", 6),
        ("g (int64[N] x) => (float[N, 5] y) { y = OneHot (x, five, zero_one) }", 5),
        ("g (int64[2, 3] x) => (float[2, 3] y) { y = GatherElements <axis = 1> (t, x) }", 7),
        ("g (int64[N] x) => (float[N, 2] y) { y = Gather <axis = -1> (t, x) }", 7),
        ("g (int64[N, 1] x) => (bool[N, 4] y) { y = Equal (x, count) }", 4),
        ("g (int64[N, 1] x) => (bool[N, 1] y) { y = Equal (x, five) }", None),
        ("g (int64[N] x) => (int64[N] y) { y = Mul (x, x) }", None),
    ],
)
def test_limits(text: str, limit: int | None) -> None:
    tensors = {
        "v": np.ones(6, "f4"),
        "t": np.ones((2, 7), "f4"),
        "five": np.int64(5),
        "count": np.arange(4),
        "zero_one": np.array([0, 1], "f4"),
    }
    model = parse(text, **tensors)
    assert index_limit(model, "x") == limit
    synthesise(model, shapes={"x": (2, 3)} if "2, 3" in text else None)


def test_kinds_of_values() -> None:
    text = """g (uint8[9, 99] pixels, bool[99] flags, int64[N] lengths, int32[N, 3] attention_mask, int64 sr,
      string[2] words) => (int32[N, 3] y) { y = Neg (attention_mask) }"""
    feeds = synthesise(parse(text))
    assert feeds["pixels"].max() > 200 and 0 < feeds["flags"].mean() < 1
    assert feeds["lengths"].tolist() == [1, 1] and feeds["sr"] == 16000
    assert feeds["attention_mask"].min() == 1 and feeds["words"].tolist() == ["a", "a"]
    half = synthesise(parse("g (bfloat16[9] x) => (bfloat16[9] y) { y = Identity (x) }"))["x"]
    assert half.dtype == ml_dtypes.bfloat16 and half.astype(np.float32).std() > 0


def test_positive_floats_where_normal_ones_give_no_numbers() -> None:
    plan = plan_inputs(parse("g (float[N, 8] x) => (float[N, 8] y) { y = Sqrt (x) }"))
    assert plan.draw(0)["x"].min() >= 0
    hopeless = plan_inputs(
        parse("g (float[N, 8] x) => (float[N, 8] y) { n = Abs (x) m = Neg (n) y = Sqrt (m) }")
    )
    assert hopeless.plans[0].distribution == "normal"


def test_draws_depend_on_the_seed_alone() -> None:
    plan = plan_inputs(parse("g (float[N, 8] x) => (float[N, 8] y) { y = Relu (x) }"), 3)
    assert plan.batch == 3 and plan.shapes == {"x": (3, 8)}
    np.testing.assert_array_equal(plan.draw(5)["x"], plan.draw(5)["x"])
    assert not np.array_equal(plan.draw(5)["x"], plan.draw(6)["x"])


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"z": (1, 4)}, "has no input 'z'; it has x"),
        ({"x": (1, 5)}, "shape (1, 5) for an input declared as ('N', 4)"),
        ({"x": (1, 4, 1)}, "declared as"),
    ],
)
def test_contradicting_shapes(shapes: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        synthesise(parse("g (float[N, 4] x) => (float[N, 4] y) { y = Relu (x) }"), shapes=shapes)
    assert words in str(caught.value)


def test_what_cannot_be_made_up() -> None:
    never = parse("g (float[N, 4] x) => (float[a, b] y) { y = Reshape (x, s) }", s=np.array([3, 5]))
    with pytest.raises(
        CannotVerify, match=r"no made-up inputs are accepted: .*; give --input-shape or --data"
    ):
        synthesise(never)
    sequence = parse("g (seq(float[2]) s) => (float[N] y) { y = ConcatFromSequence <axis = 0> (s) }")
    with pytest.raises(CannotVerify, match="cannot make up a sequence input"):
        synthesise(sequence)
