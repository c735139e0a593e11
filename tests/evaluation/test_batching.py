"""Batches for free and fixed batch sizes: every sample once, in order, with the right answer."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.errors import InputError
from onnxdup.evaluation.batching import plan_batches, working_batches
from onnxdup.evaluation.data import as_dataset
from onnxdup.graph import Document, parse
from onnxdup.runtime import Session

X = np.arange(44, dtype=np.float64).reshape(11, 4)


def doubled(batch: str) -> Document:
    return parse(f"g (float[{batch}, 4] x) => (float[{batch}, 4] y) {{ y = Add (x, x) }}")


@pytest.mark.parametrize(
    ("batch", "sizes"), [("N", [5, 5, 1]), ("1", [1] * 11), ("2", [2] * 6), ("10", [10, 10])]
)
def test_all_samples_pass_once(batch: str, sizes: list[int]) -> None:
    model = doubled(batch)
    with Session.open(model, provider="cpu") as session:
        batching = working_batches(as_dataset(X, model), session, 5)
        batches = list(batching.batches())
        answers = [b.cut(session.run(b.feeds))["y"] for b in batches]
    assert [b.size for b in batches] == sizes
    np.testing.assert_array_equal(np.concatenate(answers), 2 * X)
    assert sum(b.count for b in batches) == 11
    assert all(b.feeds["x"].dtype == np.float32 for b in batches)


def test_models_without_a_batch_axis_get_one_sample_at_a_time() -> None:
    model = parse("g (float[4] x) => (float[4] y) { y = Add (x, x) }")
    with Session.open(model, provider="cpu") as session:
        batches = list(working_batches(as_dataset(X, model), session).batches())
        answers = [b.cut(session.run(b.feeds))["y"] for b in batches]
    np.testing.assert_array_equal(np.concatenate(answers), 2 * X)


def test_constants_go_into_every_batch() -> None:
    model = parse("g (float[N, 4] x, float k) => (float[N, 4] y) { y = Mul (x, k) }")
    data = as_dataset({"x": X, "k": np.float64(3)}, model)
    with Session.open(model, provider="cpu") as session:
        answers = [session.run(b.feeds)["y"] for b in working_batches(data, session, 4).batches()]
    np.testing.assert_array_equal(np.concatenate(answers), 3 * X)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[N, 4] x) => (float[M, 4] y) { y = Reshape (x, s) }",  # stops for two samples
        "g (float[N, 4] x) => (float[M, K] y) { y = Reshape (x, flat) }",  # loses the sample axis
    ],
)
def test_an_export_with_a_baked_in_batch_of_one(text: str) -> None:
    model = parse(text, s=np.array([1, 4]), flat=np.array([1, -1]))
    with Session.open(model, provider="cpu") as session:
        assert working_batches(as_dataset(X, model), session, 5).size == 1


def test_different_fixed_batches_are_refused() -> None:
    model = parse("g (float[2, 4] x, float[3, 4] z) => (float[2, 4] y) { y = Relu (x) w = Relu (z) }")
    data = as_dataset({"x": np.zeros((6, 4)), "z": np.zeros((6, 4))}, model)
    with (
        Session.open(model, provider="cpu") as session,
        pytest.raises(InputError, match=r"fixed batches \[2, 3\]"),
    ):
        plan_batches(data, session.inputs)


def test_lists_are_cut_with_the_filling() -> None:
    batch = next(
        b
        for b in plan_batches(as_dataset(X[:1], doubled("2")), _inputs(doubled("2"))).batches()
        if b.count < b.size
    )
    assert batch.cut({"maps": [{0: 1.0}, {0: 2.0}], "other": np.zeros(3)})["maps"] == [{0: 1.0}]


def _inputs(model: Document) -> tuple[object, ...]:
    with Session.open(model, provider="cpu") as session:
        return session.inputs
