"""Budgets × facts → verdict: three outcomes, and refusal where the facts do not say."""

from __future__ import annotations

from typing import Any

import pytest
from gate_facts import accuracy, at, base, facts, paired

from onnxdup.errors import CannotVerify, UsageError
from onnxdup.gate import Budgets, budgets_for, judge
from onnxdup.gate.budgets import amount, override


@pytest.mark.parametrize(
    ("budget", "status", "words"),
    [
        ({"max_duplicates": 10}, "passed", "10 of 100 filters"),
        ({"max_duplicates": 9.9}, "failed", "10.00 %, 9.9 % allowed"),
        ({"max_removable": 5}, "passed", "would remove 5 of 100"),
        ({"max_removable": 0}, "failed", "5.00 %, 0 % allowed"),
        ({"max_bytes": 2_000_000}, "passed", "2.0 MB"),
        ({"max_bytes": 1_999_999}, "failed", "2.0 MB"),
        ({"max_macs": 600_000}, "passed", "600,000"),
        ({"max_macs": 599_999}, "failed", "599,999 allowed"),
        ({"max_parameters": 50_000}, "passed", "50,000"),
        ({"max_parameters": 0}, "failed", "0 allowed"),
        ({"min_agreement": 96}, "passed", "96.00 %"),
        ({"min_agreement": 96.1}, "failed", "96.1 % demanded"),
        ({"max_latency_ratio": 0.75}, "passed", "0.750 times"),
        ({"max_latency_ratio": 0.7}, "failed", "0.7 allowed"),
        ({"max_drop": 3}, "passed", "at most"),
        ({"max_drop": 1}, "inconclusive", "500 samples cannot decide"),
    ],
)
def test_each_budget_at_its_limit_and_beyond(budget: dict[str, Any], status: str, words: str) -> None:
    verdict = judge(Budgets(**budget), facts())
    assert verdict.status == status == verdict.checks[0].status
    assert len(verdict.checks) == 1 and words in verdict.checks[0].detail


def test_no_budget_no_checks() -> None:
    assert judge(Budgets(), facts()).checks == () and judge(Budgets(), facts()).status == "passed"


def test_failed_beats_inconclusive_beats_passed() -> None:
    both = Budgets(max_bytes=10**9, max_drop=1)
    assert judge(both, facts()).status == "inconclusive"
    assert judge(Budgets(max_bytes=1, max_drop=1), facts()).status == "failed"


def test_a_drop_is_failed_only_where_it_is_shown() -> None:
    worse = facts(base=base(paired=paired(40, 5)), accuracy=accuracy(445))
    assert judge(Budgets(max_drop=2), worse).status == "failed"
    assert judge(Budgets(max_drop=7), worse).status == "inconclusive"
    assert judge(Budgets(max_drop=12), worse).status == "passed"


def test_more_confidence_needs_more_data() -> None:
    found = facts(base=base(paired=paired(3, 3)))
    assert judge(Budgets(max_drop=1.5, confidence=0.9), found).status == "passed"
    assert judge(Budgets(max_drop=1.5, confidence=0.999), found).status == "inconclusive"


def test_stored_accuracy_counts_when_nothing_is_paired() -> None:
    stored = facts(base=base(paired=None, accuracy=accuracy(480)))
    assert "stored 96.00 % (measured on 500" in judge(Budgets(max_drop=5), stored).checks[0].detail
    alone = facts(base=None)
    assert judge(Budgets(max_drop=3, base_accuracy=95.0), alone).status == "passed"
    assert judge(Budgets(max_drop=1, base_accuracy=95.0), alone).status == "inconclusive"
    assert judge(Budgets(max_drop=0, base_accuracy=99.0), alone).status == "failed"


@pytest.mark.parametrize(
    ("budget", "changes", "words"),
    [
        ({"max_duplicates": 1, "tau": 0.9}, {}, "no duplicates at tau 0.9; the report has tau 1"),
        ({"max_macs": 1}, {"macs": None}, "multiply-accumulates"),
        ({"max_parameters": 1}, {"parameters": None}, "parameters"),
        ({"max_drop": 1}, {"accuracy": None}, "--data with labels"),
        ({"max_drop": 1}, {"base": None}, "--base-accuracy"),
        ({"min_agreement": 1}, {"base": None}, "agreement was not measured"),
        ({"max_latency_ratio": 1}, {"base": base(latency=None)}, "latency"),
    ],
)
def test_what_was_not_measured_cannot_be_judged(
    budget: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(CannotVerify, match=words.replace("(", r"\(")):
        judge(Budgets(**budget), facts(**changes))


def test_layers_without_filters_have_no_share() -> None:
    empty = facts(taus=(at(filters=1, components=1, removable=0),))
    assert judge(Budgets(max_duplicates=0, max_removable=0), empty).status == "passed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"tau": 0.0},
        {"tau": 1.1},
        {"max_drop": -1},
        {"confidence": 1.0},
        {"min_agreement": 101},
        {"max_bytes": -1},
    ],
)
def test_limits_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong)).replace("_", "-")):
        Budgets(**wrong)


def test_overrides_by_path_and_by_name() -> None:
    overrides = [override("big*.onnx", {"max-bytes": "2MB"}), override("models/*", {"max-drop": 0.5})]
    found = budgets_for("models/big1.onnx", Budgets(max_bytes=5), overrides)
    assert (found.max_bytes, found.max_drop) == (2_000_000, 0.5)
    assert budgets_for("small.onnx", Budgets(max_bytes=5), overrides) == Budgets(max_bytes=5)


def test_default_is_no_exact_duplicate() -> None:
    assert budgets_for("m.onnx", Budgets(tau=0.9), []) == Budgets(tau=0.9, max_removable=0.0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"max-bites": 1}, "did you mean max-bytes"),
        ({"zzz": 1}, "known keys"),
        ({"max-drop": "x"}, "not a number"),
    ],
)
def test_bad_overrides(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        override("*.onnx", values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (1500000, 1500000),
        ("1.5M", 1500000),
        ("1.5 MB", 1500000),
        ("2MiB", 2 * 2**20),
        ("0", 0),
        ("1e3", 1000),
    ],
)
def test_amounts(text: object, value: int) -> None:
    assert amount(text) == value


@pytest.mark.parametrize("text", ["", "MB", "-1", "nan", "inf", "1Q", "1 2"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(UsageError, match="is not an amount"):
        amount(text)
