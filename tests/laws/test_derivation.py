"""The ledger is checked without the code that wrote it: true merges pass, false ones are refuted.

False merges are forged in the file, or made by a wrong rule (a mutant of the algebra), which the check does
not share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from architectures import ARCHITECTURES
from laws import surgeon
from laws.bench import groups_of, plant_everywhere, random_of
from laws.checks import is_row
from laws.dependence import INPUTS, dependent, mlp, opposite
from laws.test_mutants import MUTANTS, Mutant
from scipy.sparse import csr_array

from onnxdup.channels import combination, trace, transfer
from onnxdup.graph import load
from onnxdup.merging import Merge
from onnxdup.merging import dependence as rule
from onnxdup.reduce import Reduction, merge
from onnxdup.reporting.derivation import refuted
from onnxdup.reporting.ledger import derive, ledger_of

NAMES = sorted(ARCHITECTURES)
ULPS = 4.0
RULES = (
    *("lenient", "sign_forgotten", "shift_forgotten", "epsilon_forgotten", "homogeneous", "clip_scales"),
)


def derived(found: Reduction) -> str:
    """The verdict on the ledger of a reduction."""
    return str(derive(found.before.document, found.document, ledger_of(found.plan, ULPS)).status)


@pytest.mark.parametrize("scaled", [False, True], ids=["copies", "multiples"])
@pytest.mark.parametrize("name", NAMES)
def test_true_merges_are_derived(name: str, scaled: bool) -> None:
    found = merge(load(plant_everywhere(name, ARCHITECTURES[name].model(), scaled=scaled).model), 1.0)
    assert derived(found) == "passed"


@pytest.mark.parametrize("name", NAMES)
def test_forged_numbers_are_refuted(name: str) -> None:
    planted = plant_everywhere(name, ARCHITECTURES[name].model(), scaled=True).model
    traced = trace(load(planted))
    for proven in merge(load(planted), 1.0).plan.rounds[:1]:
        for held in proven:
            assert refuted(traced, held, ULPS) is None
            assert any(refuted(traced, false, ULPS) for false in forgeries(held))
            assert all(refuted(traced, false, ULPS) for false in forgeries(held) if is_read(traced, held))


def is_read(traced: Any, held: Merge) -> bool:
    """Is every channel that goes multiplied by something, so that a wrong factor shows?"""
    return all(e.kept >= 0 or e.terms for e in held.entries)


def forgeries(held: Merge) -> Iterator[Merge]:
    """The same merge with its last factor a quarter larger, consistently; with the other channel kept."""
    last = held.entries[-1]
    if last.kept < 0:
        return
    wrong = replace(last, a=last.a * 1.25)
    unmerge = {}
    for key, matrix in held.unmerge.items():
        dense = matrix.toarray()
        dense[last.dropped] *= 1.25
        unmerge[key] = csr_array(dense)
    yield replace(held, entries=(*held.entries[:-1], wrong), unmerge=unmerge)
    yield replace(held, entries=held.entries[:-1])
    yield replace(held, keep=np.sort(np.append(held.keep[held.keep != last.kept], last.dropped)))


TRANSFERS = [
    m
    for m in MUTANTS
    if m.relation is not None and any(word in getattr(m.change, "__qualname__", "") for word in RULES)
]


@pytest.mark.parametrize("mutant", TRANSFERS, ids=lambda m: m.name.replace(" ", "_"))
def test_merges_of_wrong_rules_are_refuted(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ARCHITECTURES[mutant.witness]
    plant = next(p for p in entry.plants if p.name == mutant.relation)
    group = next(
        g for g in groups_of(entry.name) if plant.tensor in {b.tensor for b in g.bindings if is_row(b)}
    )
    model = load(surgeon.plant_rows(entry.model(), group, 0, 1, plant.rows, plant.columns))
    with monkeypatch.context() as patch:
        mutant.change(patch)
        groups_of.cache_clear()
        found = merge(model, 1.0)
    groups_of.cache_clear()
    assert found.removed > 0
    assert derived(found) == "failed"


def test_wrong_combinations_are_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random_of("wrong")
    pairs = opposite(rng, 6, 4)
    with monkeypatch.context() as patch:
        patch.setattr(combination.Combination, "no_shift", property(lambda self: self.ok | True))
        biased = dependent(rng, 4, 3)
        biased[:, -1] = rng.normal(size=4)
        weights = {"w1": biased[:, :-1].reshape(4, INPUTS, 1, 1), "b1": biased[:, -1]}
        from laws.dependence import Net

        body = "a=Conv(x,w1,b1) c=Conv<pads=[1,1,1,1]>(a,w2) y=GlobalAveragePool(c)"
        net = Net(body, {**weights, "w2": rng.normal(size=(5, 4, 3, 3))}, (INPUTS, 6, 6), (5, 1, 1))
        patch.setattr("onnxdup.channels.parity.is_strict", lambda _: False)
        padded = merge(load(net.model()), 1.0)
    assert padded.removed == 0 or derived(padded) == "failed"
    with monkeypatch.context() as patch:
        patch.setattr(rule, "agreement", lambda _r, j, *_a: (np.zeros(len(j)), np.ones(len(j), bool)))
        patch.setattr("onnxdup.merging.basis.MARGIN", 2.0**12)
        noisy = pairs * (1 + 1e-5 * rng.normal(size=pairs.shape))
        found = merge(load(mlp("r=Identity(a)", noisy, rng).model()), 1.0)
    assert found.removed > 0
    assert derived(found) == "failed"


def test_leaning_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random_of("lean")
    make = lambda _: transfer.Pointwise(np.tanh, lean=1.0)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setitem(rule_table(), "Tanh", make)
        model = load(mlp("r=Tanh(a)", opposite(rng, 6, 4), rng).model())
        found = merge(model, 1.0)
    assert any(e.terms for e in found.plan.entries)
    assert derived(found) == "failed"


def rule_table() -> dict[str, Any]:
    """The table of activations."""
    from onnxdup.channels.rules.pointwise import ACTIVATIONS

    return ACTIVATIONS
