"""A small, seeded share of the fuzzing, for every run of the tests; `fuzz_models.py` does the rest."""

from __future__ import annotations

import random
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent))

from corpus import corpus
from harness import Broken, attempt, limited, watched
from mutations import Mutant, mutant

from onnxdup.channels import trace
from onnxdup.errors import InputError
from onnxdup.graph import load

COUNT = 300
PARTS = 6


@pytest.fixture(scope="module")
def seeds() -> list:
    return corpus()


@pytest.mark.parametrize("part", range(PARTS))
def test_mutants_are_reported_merged_or_refused(part: int, seeds: list, tmp_path: Path) -> None:
    outcomes = set()
    for number in range(part * COUNT // PARTS, (part + 1) * COUNT // PARTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcomes.add(attempt(mutant(number, seeds), folder))
    assert "fine / fine" in outcomes, "no mutant got through: the mutations are too wild"
    assert "unreadable" in outcomes, "no mutant was refused: the mutations are too tame"


def test_seeds_are_sound(seeds: list, tmp_path: Path) -> None:
    chosen = random.Random(0).sample(seeds, 12)
    for number, seed in enumerate(chosen):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert attempt(Mutant(0, (seed.name,), seed.model, seed.files), folder) == "fine / fine"


def test_mutants_are_repeatable(seeds: list) -> None:
    assert mutant(17, seeds) == mutant(17, seeds)


def test_the_watch_sees_what_goes_astray(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(Broken, match="went outside"), watched(home):
        (tmp_path / "astray").write_text("x")
    with watched(home):
        (home / "fine").write_text("x")


def doubled(times: int) -> object:
    """x + c, where c is a weight appended to itself so many times."""
    names = ["c", *(f"c{k}" for k in range(times))]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]
    nodes.append(helper.make_node("Gemm", ["x", "w", names[-1]], ["y"]))
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in ("x", "y")]
    weights = [np.ones((4, 4), np.float32), np.ones(4, np.float32)]
    tensors = [numpy_helper.from_array(a, n) for a, n in zip(weights, ("w", "c"), strict=True)]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_constants_that_would_fill_the_memory_are_not_computed() -> None:
    with limited(10):
        trace(load(doubled(40)), shapes={})


def test_a_name_defined_twice_is_refused() -> None:
    model = doubled(1)
    model.graph.node[0].output[0] = "y"
    with pytest.raises(InputError, match="y is defined twice"):
        load(model)


def test_a_cycle_is_refused() -> None:
    model = doubled(2)
    model.graph.node[0].input[0] = "c1"
    with pytest.raises(InputError, match="cyclic"):
        trace(load(model))


def test_no_rule_calls_a_valid_model_malformed() -> None:
    from architectures import ARCHITECTURES

    for name, entry in ARCHITECTURES.items():
        declined = trace(load(entry.model())).tracer.declined
        assert not [why for _, why in declined if "not as its specification says" in why], name
