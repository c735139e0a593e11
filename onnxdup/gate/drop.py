"""How far accuracy has fallen, with one-sided bounds: paired with a base, or against a stored accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxdup.errors import CannotVerify
from onnxdup.evaluation import Interval, Paired, clopper_pearson
from onnxdup.gate.budgets import Budgets
from onnxdup.gate.schema import Facts
from onnxdup.reporting.schema import Accuracy


@dataclass(frozen=True)
class Drop:
    """A drop in percentage points; each of `low` and `high` errs with probability 1 - confidence at most."""

    value: float
    low: float
    high: float
    samples: int
    against: str


def drop_of(budgets: Budgets, facts: Facts) -> Drop:
    """The drop to judge. Raises `CannotVerify` without labels, or without anything to compare with."""
    accuracy, base = facts.accuracy, facts.base
    if accuracy is None:
        raise CannotVerify(
            "max-drop needs accuracy, which was not measured",
            file=facts.model.path,
            remedy="give --data with labels y",
        )
    if base and base.paired:
        found = base.paired
        pair = Paired(
            *(accuracy.samples, found.only_before_right, found.only_after_right, found.p_value, found.drop),
            drop_interval=Interval(-1.0, 1.0, budgets.confidence),
        )
        bounds = pair.drop_bounds(budgets.confidence)
        values = (100 * pair.drop, 100 * bounds.low, 100 * bounds.high)
        return Drop(*values, accuracy.samples, "below the base on the same samples")
    if base and base.accuracy:
        return _unpaired(base.accuracy.top1, base.accuracy.samples, accuracy, budgets.confidence)
    if budgets.base_accuracy is not None:
        return _unpaired(budgets.base_accuracy / 100, None, accuracy, budgets.confidence)
    raise CannotVerify(
        "max-drop needs something to fall from",
        file=facts.model.path,
        remedy="give --base or --base-accuracy",
    )


def _unpaired(reference: float, samples: int | None, found: Accuracy, confidence: float) -> Drop:
    """The drop from a reference that is known exactly, or from `samples` others (independent proportions).

    Exact binomial bounds, joined as Newcombe joins Wilson's (square-and-add, Statistics in Medicine 17 (1998)
    873-890). Pairing the same samples is sharper: give the model, not its accuracy, where there is one.
    """
    two_sided = 1 - 2 * (1 - confidence)
    head = clopper_pearson(round(found.top1 * found.samples), found.samples, two_sided)
    base = clopper_pearson(round(reference * samples), samples, two_sided) if samples else None
    above, below = (base.high - reference, reference - base.low) if base else (0.0, 0.0)
    drop = reference - found.top1
    low = drop - math.hypot(below, head.high - found.top1)
    high = drop + math.hypot(above, found.top1 - head.low)
    origin = f"measured on {samples} samples" if samples else "taken as exact"
    words = f"below the stored {100 * reference:.2f} % ({origin})"
    return Drop(100 * drop, 100 * low, 100 * high, found.samples, words)
