"""Shapes from a run, where inference has nothing to say."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.errors import CannotVerify, UsageError
from onnxdup.graph import parse
from onnxdup.graph.expose import random_nodes, with_outputs, with_seeds
from onnxdup.runtime import Session, observed_shapes

DYNAMIC = """g (float[N, 6] x) => (float[M, K] y) {
  nz = NonZero (x)
  t = Transpose (nz)
  f = Cast <to = 1> (t)
  y = MatMul (f, w)
}"""


def test_data_dependent_shapes_are_observed() -> None:
    model = parse(DYNAMIC, w=np.ones((2, 5), "f4"))
    x = np.eye(3, 6, dtype=np.float32)
    shapes = observed_shapes(model, {"x": x})
    assert shapes == {"x": (3, 6), "w": (2, 5), "nz": (2, 3), "t": (3, 2), "f": (3, 2), "y": (3, 5)}
    assert model.outputs[0].name == "y" and len(model.outputs) == 1


def test_sequences_are_left_out() -> None:
    text = """g (float[4] x) => (float[4] y) {
      s = SplitToSequence <axis = 0> (x, two)
      same = Identity (s)
      y = ConcatFromSequence <axis = 0> (same)
    }"""
    model = parse(text, two=np.int64(2))
    assert observed_shapes(model, {"x": np.zeros(4, np.float32)}) == {"x": (4,), "two": (), "y": (4,)}


def test_sequences_out_of_a_branch_are_left_out() -> None:
    text = """g (float[4] x, bool c) => (float[4] y) {
      s = If (c) <
        then_branch = a () => (seq(float[2]) p) { p = SplitToSequence <axis = 0> (x, two) },
        else_branch = b () => (seq(float[2]) q) { q = SplitToSequence <axis = 0> (x, two) }
      >
      r = Relu (x)
      z = ConcatFromSequence <axis = 0> (s)
      y = Add (z, r)
    }"""
    model = parse(text, two=np.int64(2))
    shapes = observed_shapes(model, {"x": np.zeros(4, np.float32), "c": np.array(True)})
    assert shapes["r"] == shapes["z"] == shapes["y"] == (4,)
    assert "s" not in shapes


def test_what_cannot_run_cannot_be_observed() -> None:
    with pytest.raises(CannotVerify, match="x"):
        observed_shapes(parse(DYNAMIC, w=np.ones((2, 5), "f4")), {"x": np.ones((1, 7), np.float32)})


def test_intermediate_values_become_outputs() -> None:
    model = parse("g (float[2] x) => (float[2] y) { a = Neg (x) y = Neg (a) }")
    with Session.open(with_outputs(model, ["a", "y"]), provider="cpu") as session:
        outputs = session.run({"x": np.array([1, 2], np.float32)})
    assert {k: v.tolist() for k, v in outputs.items()} == {"y": [1, 2], "a": [-1, -2]}
    with pytest.raises(UsageError, match="no such value"):
        with_outputs(model, ["b"])


def test_seeds_make_random_models_repeat() -> None:
    model = parse("g (float[2] x) => (float[2] y) { r = RandomNormalLike (x) y = Add (x, r) }")
    assert len(random_nodes(model)) == 1 and random_nodes(with_seeds(model)) == ()
    feeds = {"x": np.zeros(2, np.float32)}
    results = []
    for _ in range(2):
        with Session.open(with_seeds(model), provider="cpu") as session:
            results.append(session.run(feeds)["y"].tolist())
    assert results[0] == results[1] != [0, 0]
