"""The two laws, for every architecture: permutation of a group changes nothing; a planted duplicate merges.

float32 with onnxruntime, float64 with onnx's ReferenceEvaluator.
"""

from __future__ import annotations

import onnx
import pytest
from architectures import ARCHITECTURES, Plant
from laws import checks
from laws.bench import plant_everywhere, serialise

from onnxdup.graph import load
from onnxdup.reduce import merge

NAMES = sorted(ARCHITECTURES)
PRESCRIBED = [n for n in NAMES if ARCHITECTURES[n].groups is not None]
SCALED = [n for n in PRESCRIBED if any(g.planted != "COPY" for g in ARCHITECTURES[n].groups or ())]
WIDE = [n for n in NAMES if ARCHITECTURES[n].reference]
RELATIONS = [
    pytest.param(n, plant, id=f"{n}-{plant.name.replace(' ', '_')}")
    for n in NAMES
    for plant in ARCHITECTURES[n].plants
]
WIDE_RELATIONS = [p for p in RELATIONS if p.values[0] in WIDE]


@pytest.mark.parametrize("name", PRESCRIBED)
def test_groups_are_as_the_algebra_says(name: str) -> None:
    checks.check_expectations(name)


@pytest.mark.parametrize("name", NAMES)
def test_bindings_partition_their_axes(name: str) -> None:
    checks.check_bindings(name)


@pytest.mark.parametrize("name", NAMES)
def test_permutation_changes_nothing(name: str) -> None:
    checks.check_permutation(name)


@pytest.mark.parametrize("name", NAMES)
def test_planted_copies_are_merged(name: str) -> None:
    checks.check_planted(name, scaled=False)


@pytest.mark.parametrize("name", SCALED)
def test_planted_multiples_are_merged(name: str) -> None:
    checks.check_planted(name, scaled=True)


@pytest.mark.parametrize("name", WIDE)
def test_planted_multiples_are_merged_in_float64(name: str) -> None:
    checks.check_planted(name, scaled=True, wide=True)


@pytest.mark.parametrize(("name", "relation"), RELATIONS)
def test_written_relations(name: str, relation: Plant) -> None:
    checks.check_relation(name, relation)


@pytest.mark.parametrize(("name", "relation"), WIDE_RELATIONS)
def test_written_relations_in_float64(name: str, relation: Plant) -> None:
    checks.check_relation(name, relation, wide=True)


@pytest.mark.parametrize("name", NAMES)
def test_near_misses_do_no_harm(name: str) -> None:
    checks.check_near_misses(name)


@pytest.mark.parametrize("name", WIDE)
def test_near_misses_do_no_harm_in_float64(name: str) -> None:
    checks.check_near_misses(name, wide=True)


@pytest.mark.parametrize("name", NAMES)
def test_frozen_groups_are_untouched(name: str) -> None:
    checks.check_frozen(name)


@pytest.mark.parametrize("name", NAMES)
def test_without_duplicates_the_file_is_unchanged(name: str) -> None:
    source = load(ARCHITECTURES[name].model())
    assert serialise(merge(source, tau=1.0).document) == serialise(source)


@pytest.mark.parametrize("name", NAMES)
def test_merging_is_deterministic_and_idempotent(name: str) -> None:
    planted = plant_everywhere(name, ARCHITECTURES[name].model(), scaled=False).model
    before = planted.SerializeToString(deterministic=True)
    first = serialise(merge(load(planted), tau=1.0).document)
    assert first == serialise(merge(load(planted), tau=1.0).document)
    assert planted.SerializeToString(deterministic=True) == before
    assert first == serialise(merge(load(onnx.ModelProto.FromString(first)), tau=1.0).document)
