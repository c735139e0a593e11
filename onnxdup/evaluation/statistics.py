"""Confidence intervals and tests for accuracies, alone and paired. Proportions are fractions in [0, 1].

Paired data: every sample is answered by both models. `only_before` counts the samples that only the first
gets right, `only_after` those that only the second gets right; the drop is (only_before - only_after) / n.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Paired:
    """Two models on the same samples: discordant pairs, McNemar's exact p, the drop of accuracy and its
    interval.
    """

    samples: int
    only_before_right: int
    only_after_right: int
    p_value: float
    drop: float
    drop_interval: Interval

    def drop_bounds(self, confidence: float = 0.95) -> Interval:
        """One-sided bounds of the drop: each end errs with probability at most 1 - confidence.

        The ends of the two-sided 1 - 2(1 - confidence) Tango interval, each with half a discordant pair moved
        against it. Without that continuity correction the score test is wrong up to 1.3 times as often as
        stated where few pairs are discordant (sums over all outcomes, n = 50 to 3000); with it, never more.
        """
        two_sided = 1 - 2 * (1 - confidence)
        b, c, n = self.only_before_right, self.only_after_right, self.samples
        low, high = tango(b, c + 0.5, n, two_sided).low, tango(b + 0.5, c, n, two_sided).high
        return Interval(low, high, confidence)

    def drop_below(self, limit: float, confidence: float = 0.95) -> bool:
        """Whether the drop is shown to be at most `limit` (one-sided at `confidence`): non-inferiority."""
        return self.drop_bounds(confidence).high <= limit


def normal_quantile(confidence: float) -> float:
    """z with P(|Z| <= z) = confidence."""
    return float(special.ndtri(0.5 + confidence / 2))


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.
    Without samples it is [0, 1].
    """
    if n == 0:
        return Interval(0.0, 1.0, confidence)
    z = normal_quantile(confidence)
    p, shrink = successes / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high, confidence)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a proportion: each end errs with probability (1 - confidence) / 2 at most.

    Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934) 404-413. Without samples it is [0, 1].
    """
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Interval(low, high, confidence)


def mcnemar(only_before: int, only_after: int) -> float:
    """Two-sided exact McNemar p value: the discordant pairs against a fair coin, doubled and capped at 1.

    McNemar, Psychometrika 12 (1947) 153-157; exact conditional form in Fagerland, Lydersen, Laake, "The
    McNemar test for binary matched-pairs data", BMC Medical Research Methodology 13:91 (2013).
    """
    discordant = only_before + only_after
    if discordant == 0:
        return 1.0
    tail = special.bdtr(min(only_before, only_after), discordant, 0.5)
    return float(min(1.0, 2 * tail))


def newcombe(
    both: int, only_before: int, only_after: int, neither: int, confidence: float = 0.95
) -> Interval:
    """Newcombe's square-and-add interval of a paired difference (method 10, without continuity correction).

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
    data", Statistics in Medicine 17 (1998) 2635-2650: the Wilson intervals of both margins, joined with the
    correlation phi, whose numerator is reduced by n/2 where it is positive.
    """
    n = both + only_before + only_after + neither
    if n == 0:
        return Interval(-1.0, 1.0, confidence)
    first, second = both + only_before, both + only_after
    p1, p2 = first / n, second / n
    w1, w2 = wilson(first, n, confidence), wilson(second, n, confidence)
    phi = _phi(both, only_before, only_after, neither)
    down = _joined(p1 - w1.low, w2.high - p2, phi)
    up = _joined(w1.high - p1, p2 - w2.low, phi)
    return Interval(p1 - p2 - down, p1 - p2 + up, confidence)


def _phi(a: int, b: int, c: int, d: int) -> float:
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    numerator = a * d - b * c
    corrected = max(numerator - (a + b + c + d) / 2, 0.0) if numerator > 0 else numerator
    return corrected / math.sqrt(margins)


def _joined(x: float, y: float, phi: float) -> float:
    return math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))


def tango(only_before: float, only_after: float, n: int, confidence: float = 0.95) -> Interval:
    """Tango's score interval of a paired difference, (only_before - only_after) / n.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998) 891-908: the differences that the score test does not reject.
    """
    if n == 0:
        return Interval(-1.0, 1.0, confidence)
    z = normal_quantile(confidence)
    estimate = (only_before - only_after) / n

    def excess(delta: float) -> float:
        return _tango_score(only_before, only_after, n, delta)

    low = _crossing(lambda delta: excess(delta) - z, -1.0, estimate)
    high = _crossing(lambda delta: excess(delta) + z, estimate, 1.0)
    return Interval(low, high, confidence)


def _tango_score(b: float, c: float, n: int, delta: float) -> float:
    """Score statistic of "the difference is delta", with the maximum-likelihood nuisance probability under
    it.
    """
    second = -b - c + (2 * n - b + c) * delta
    third = -c * delta * (1 - delta)
    q = (math.sqrt(max(second * second - 8 * n * third, 0.0)) - second) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    numerator = b - c - n * delta
    if variance <= 0:
        return 0.0 if numerator == 0 else math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Root of a decreasing function in [low, high]; the end that it does not cross where there is none."""
    from scipy import optimize

    inner_low, inner_high = low + 1e-12, high - 1e-12
    if inner_low >= inner_high or function(inner_low) <= 0:
        return low
    if function(inner_high) >= 0:
        return high
    return float(
        optimize.brentq(lambda x: max(-1e9, min(1e9, function(x))), inner_low, inner_high, xtol=1e-12)
    )


def paired(before: np.ndarray, after: np.ndarray, confidence: float = 0.95) -> Paired:
    """Compare two boolean vectors, one entry per sample: was each model right? The interval is Tango's."""
    only_before = int(np.sum(before & ~after))
    only_after = int(np.sum(after & ~before))
    n = len(before)
    return Paired(
        samples=n,
        only_before_right=only_before,
        only_after_right=only_after,
        p_value=mcnemar(only_before, only_after),
        drop=(only_before - only_after) / n if n else 0.0,
        drop_interval=tango(only_before, only_after, n, confidence),
    )
