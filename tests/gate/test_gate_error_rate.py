"""The non-inferiority gate errs no more often than it says: simulated, and summed over all outcomes."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from gate_facts import accuracy, base, facts, paired
from scipy import stats

from onnxdup.evaluation import Paired, clopper_pearson, mcnemar, tango
from onnxdup.gate import Budgets, judge

TRIALS = 4000


@functools.cache
def outcome(only_before: int, only_after: int, samples: int, limit: float, confidence: float) -> str:
    """The gate's word for one table of discordant pairs (cached: few differ)."""
    found = facts(
        accuracy=accuracy(samples // 2, samples), base=base(paired=paired(only_before, only_after, samples))
    )
    return judge(Budgets(max_drop=limit, confidence=confidence), found).status


def rates(samples: int, worse: float, better: float, limit: float, confidence: float) -> dict[str, float]:
    """Share of each word over simulated test sets of two models that differ by `worse` - `better`."""
    rng = np.random.default_rng(7)
    tables = rng.multinomial(samples, (worse, better, 1 - worse - better), TRIALS)
    words = [outcome(int(b), int(c), samples, limit, confidence) for b, c, _ in tables]
    return {w: words.count(w) / TRIALS for w in ("passed", "failed", "inconclusive")}


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("samples", "limit", "better"), [(500, 1.0, 0.01), (500, 2.0, 0.0), (3000, 1.0, 0.02)]
)
def test_false_pass_and_false_fail_at_the_limit(
    samples: int, limit: float, better: float, confidence: float
) -> None:
    """The true drop is the limit itself, the hardest case for both."""
    found = rates(samples, better + limit / 100, better, limit, confidence)
    slack = 3 * np.sqrt(confidence * (1 - confidence) / TRIALS)
    assert found["passed"] <= 1 - confidence + slack
    assert found["failed"] <= 1 - confidence + slack
    assert found["inconclusive"] >= 2 * confidence - 1 - 2 * slack


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("better", [0.0, 0.002, 0.01, 0.05])
@pytest.mark.parametrize(("samples", "limit"), [(100, 0.01), (200, 0.01), (500, 0.02), (1000, 0.01)])
def test_false_pass_rate_exactly(samples: int, limit: float, better: float, confidence: float) -> None:
    """Sum of the probabilities of all tables that pass although the drop is the limit."""
    assert false_pass(samples, limit, better, confidence, correction=0.5) <= 1 - confidence + 1e-9


def test_without_the_correction_the_rate_would_be_exceeded() -> None:
    """So the sum above can fail: Tango's bound alone errs 1.3 times as often as stated here."""
    assert false_pass(200, 0.01, 0.0, 0.9, correction=0.0) > 0.13


def false_pass(samples: int, limit: float, better: float, confidence: float, correction: float) -> float:
    """P(pass) at drop = limit, over every (only before, only after)."""
    worse, total, passes = limit + better, 0.0, -1
    for c in range(int(stats.binom.ppf(1 - 1e-9, samples, better)) + 1):
        while passes < samples and high(passes + 1, c, samples, confidence, correction) <= limit:
            passes += 1  # grows with c
        if passes >= 0:
            chance = stats.binom.cdf(passes, samples - c, worse / (1 - better))
            total += float(stats.binom.pmf(c, samples, better) * chance)
    return total


@functools.cache
def high(b: int, c: int, samples: int, confidence: float, correction: float) -> float:
    bound = tango(b + correction, c, samples, 2 * confidence - 1)
    if correction == 0.5:
        pair = Paired(samples, b, c, mcnemar(b, c), (b - c) / samples, bound)
        assert pair.drop_bounds(confidence).high == bound.high
    return bound.high


def test_power() -> None:
    """Equal models pass with enough data, clearly worse ones fail, and more data decide more."""
    assert rates(3000, 0.01, 0.01, 1.0, 0.95)["passed"] > 0.9
    assert rates(3000, 0.05, 0.01, 1.0, 0.95)["failed"] > 0.99
    few, many = (rates(n, 0.01, 0.01, 1.0, 0.95)["passed"] for n in (200, 2000))
    assert few < 0.5 < many


def test_stored_accuracy_errs_no_more_often_either() -> None:
    """Accuracy against an exact reference, drop = limit: P(pass) summed over all counts."""
    samples, truth, limit = 500, 0.95, 1.0
    passed = [
        judge(
            Budgets(max_drop=limit, base_accuracy=100 * truth + limit),
            facts(base=None, accuracy=accuracy(k, samples)),
        ).status
        == "passed"
        for k in range(samples + 1)
    ]
    chances = stats.binom.pmf(np.arange(samples + 1), samples, truth)
    assert 0.01 < chances[np.array(passed)].sum() <= 0.05


def test_clopper_pearson_against_its_definition() -> None:
    found = clopper_pearson(7, 50, 0.9)
    assert stats.binom.sf(6, 50, found.low) == pytest.approx(0.05)
    assert stats.binom.cdf(7, 50, found.high) == pytest.approx(0.05)
    assert (clopper_pearson(0, 5).low, clopper_pearson(5, 5).high) == (0.0, 1.0)
    assert (clopper_pearson(0, 0).low, clopper_pearson(0, 0).high) == (0.0, 1.0)
