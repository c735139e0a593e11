"""The order in which channels go, and the sizes that it is weighed by: pure parts of `shrink`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxdup.channels import trace
from onnxdup.errors import UsageError
from onnxdup.graph import load
from onnxdup.merging import cuttable
from onnxdup.reduce import merge
from onnxdup.reduce.allocate import greedy, uniform
from onnxdup.reduce.budget import Budget, Measures
from onnxdup.reduce.curves import Curve, pooled
from onnxdup.reduce.rounding import rounded_up, widths
from onnxdup.reduce.sizes import Sizes, Unit, whole_cost

SAMPLES = Path(__file__).parents[2] / "samples"
VALUES = st.lists(st.floats(0, 10), min_size=1, max_size=30)


@given(VALUES)
def test_pooling_never_falls_and_keeps_the_sum(values: list[float]) -> None:
    found = pooled(np.array(values))
    assert (np.diff(found) >= 0).all() and found.sum() == pytest.approx(sum(values), abs=1e-9)
    assert np.allclose(pooled(found), found)


def test_pooling_is_the_nearest_monotone_sequence() -> None:
    assert pooled(np.array([1.0, 3.0, 2.0, 0.0, 5.0])).tolist() == [1.0, 5 / 3, 5 / 3, 5 / 3, 5.0]


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 17))
def test_widths_are_multiples_or_the_whole(size: int, keep: int, step: int) -> None:
    found = widths(size, step)
    assert found[0] == size and all(w % step == 0 and 0 < w < size for w in found[1:])
    up = rounded_up(size, min(keep, size), step)
    assert up in found and up >= min(keep, size)
    assert up == min(w for w in found if w >= min(keep, size))


class Flat(Sizes):
    """Every channel of a group saves the same."""

    def __init__(self, per_channel: dict[str, float]) -> None:
        self.per_channel = per_channel

    def saving(self, group: str, step: int, removed: object) -> float:
        """Step times a constant."""
        return step * self.per_channel[group]


def curve(name: str, errors: list[float]) -> Curve:
    return Curve(name, len(errors), np.array(errors))


def test_cheapest_error_per_saving_goes_first_and_one_channel_stays() -> None:
    curves = [curve("a", [1.0, 2.0, 9.0]), curve("b", [3.0, 3.0, 9.0])]
    path = greedy(curves, Flat({"a": 1.0, "b": 2.0}))
    assert [(s.group, s.left, s.price) for s in path.steps] == [
        ("a", 2, 1.0),
        ("b", 2, 1.5),
        ("b", 1, 1.5),
        ("a", 1, 2.0),
    ]
    assert path.counts(0) == {"a": 3, "b": 3} and path.counts(2) == {"a": 2, "b": 2}
    assert path.counts(len(path)) == {"a": 1, "b": 1}


def test_steps_are_rounded() -> None:
    path = greedy([curve("a", [1.0] * 19), curve("b", [1.0] * 5)], Flat({"a": 1.0, "b": 1.0}), 8)
    assert [(s.group, s.left) for s in path.steps] == [("a", 16), ("a", 8)]


def test_uniform_keeps_shares_alike() -> None:
    path = uniform({"a": 4, "b": 8}, Flat({"a": 1.0, "b": 1.0}))
    assert path.counts(len(path)) == {"a": 1, "b": 1}
    for position in range(len(path) + 1):
        counts = path.counts(position)
        assert abs(counts["a"] / 4 - counts["b"] / 8) <= 0.25


@pytest.mark.parametrize("name", ["mlp_digits.onnx", "cnn_digits.onnx"])
@pytest.mark.parametrize("unit", ["parameters", "bytes", "macs"])
def test_predicted_savings_are_those_of_the_model(name: str, unit: Unit) -> None:
    document = load(SAMPLES / name)
    traced = trace(document)
    groups = [g for g in traced.groups if cuttable(g)]
    counts = {g.name: g.size - 3 - k for k, g in enumerate(groups)}
    sizes, removed, saved = Sizes(traced, groups, unit), dict.fromkeys(counts, 0), 0.0
    for group in groups:
        step = group.size - counts[group.name]
        saved += sizes.saving(group.name, step, removed)
        removed[group.name] = step
    after = merge(document, 1.0, "norm", keep=counts).after
    before, left = whole_cost(traced), whole_cost(after)
    measured = {
        "parameters": before.parameters - left.parameters,
        "bytes": before.weight_bytes - left.weight_bytes,
        "macs": (before.macs or 0) - (left.macs or 0),
    }
    assert saved == measured[unit] > 0


def test_counts_of_merge(tmp_path: Path) -> None:
    document = load(SAMPLES / "mlp_digits.onnx")
    found = merge(document, 1.0, "obs", keep={"fc1.weight": 100})
    assert [found.after.group(g).size for g in ("fc1.weight", "fc2.weight")] == [100, 64]
    with pytest.raises(UsageError, match="fc9"):
        merge(document, 1.0, "obs", keep={"fc9": 3})
    with pytest.raises(UsageError, match="fc3"):
        merge(document, 1.0, "obs", keep={"fc3.weight": 3})


def test_budgets_say_what_is_within() -> None:
    budget = Budget(parameters=10, max_error=0.5)
    assert budget.unit == "parameters" and budget.targets == {"parameters": 10}
    assert not Measures(parameters=10).missed(budget)
    assert Measures(parameters=11).missed(budget) == {"parameters": (11.0, 10)}
    assert Measures(error=0.5).good(budget) and not Measures(error=0.6).good(budget)
    assert not Measures().good(budget) and not Measures(error=float("nan")).good(budget)
    assert not Measures(error=0.1, finite=False).good(budget)
    for bad in ({}, {"keep": 1.5}, {"max_drop": -1}, {"max_drop": 1, "confidence": 1.0}):
        with pytest.raises(UsageError):
            Budget(**bad)  # type: ignore[arg-type]
