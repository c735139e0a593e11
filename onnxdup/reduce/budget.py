"""What a model may cost, what it must still be able to do, and whether a candidate is within both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onnxdup.errors import UsageError
from onnxdup.reduce.sizes import Unit

ROUNDING = 1e-9


@dataclass(frozen=True)
class Budget:
    """Targets make a model small enough, limits keep it good enough; None: not asked for.

    `keep` is the share of the channels of all groups that can be cut, together; `parameters`, `macs` (of one
    sample), `bytes` (of the file and its external data) and `latency_ms` (median of one batch) are upper
    bounds. `max_drop` are percentage points of accuracy, shown at `confidence` (one-sided, paired);
    `max_error` is the root mean square of the output's change over that of the output; `min_agreement` is the
    percentage of equal top-1 answers. Raises UsageError for a value out of range, or none at all.
    """

    keep: float | None = None
    parameters: int | None = None
    macs: int | None = None
    bytes: int | None = None
    latency_ms: float | None = None
    max_drop: float | None = None
    max_error: float | None = None
    min_agreement: float | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.targets and not self.limits:
            raise UsageError(
                "no budget given",
                remedy="add --keep, --target-params, --target-macs, --target-bytes, --target-latency, "
                "--max-drop, --max-error or --min-agreement",
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name.replace('_', '-')} {value:g} is outside {low:g} to {high:g}")

    @property
    def targets(self) -> dict[str, float]:
        """What the model must come down to."""
        return {n: v for n in TARGETS if (v := getattr(self, n)) is not None}

    @property
    def limits(self) -> dict[str, float]:
        """What the model must not go beyond."""
        return {n: v for n in LIMITS if (v := getattr(self, n)) is not None}

    @property
    def unit(self) -> Unit:
        """What a removed channel should save most of: the first target, parameters where there is none."""
        units: dict[str, Unit] = {"keep": "channels", "parameters": "parameters", "bytes": "bytes"}
        return next((units.get(n, "macs") for n in self.targets), "parameters")


TARGETS = ("keep", "parameters", "macs", "bytes", "latency_ms")
LIMITS = ("max_drop", "max_error", "min_agreement")
_LARGE = 1e30
_RANGES: dict[str, tuple[float, float]] = {
    "keep": (1e-9, 1.0),
    **dict.fromkeys(("parameters", "macs", "bytes", "latency_ms", "max_error"), (0.0, _LARGE)),
    **dict.fromkeys(("max_drop", "min_agreement"), (0.0, 100.0)),
    "confidence": (0.5, 1 - 1e-9),
}


@dataclass(frozen=True)
class Measures:
    """What is known of a candidate; None: not measured. Units as in `Budget`.

    `drop` is the accuracy lost on the data in percentage points, `drop_bound` its one-sided upper bound.
    """

    keep: float | None = None
    parameters: int | None = None
    macs: int | None = None
    bytes: int | None = None
    latency_ms: float | None = None
    drop: float | None = None
    drop_bound: float | None = None
    error: float | None = None
    agreement: float | None = None
    finite: bool = True

    def missed(self, budget: Budget) -> dict[str, tuple[float, float]]:
        """Targets that are not reached: name → (value, allowed)."""
        found = {n: (float(getattr(self, n)), limit) for n, limit in budget.targets.items()}
        return {n: (v, limit) for n, (v, limit) in found.items() if not within(v, limit)}

    def good(self, budget: Budget) -> bool:
        """Are all limits kept? A value that was not measured, or is no number, keeps none."""
        checks = [self.finite]
        if budget.max_drop is not None:
            checks.append(within(self.drop_bound, budget.max_drop))
        if budget.max_error is not None:
            checks.append(within(self.error, budget.max_error))
        if budget.min_agreement is not None:
            wanted = budget.min_agreement - ROUNDING
            checks.append(self.agreement is not None and self.agreement >= wanted)
        return all(checks)


def within(value: float | None, limit: float) -> bool:
    """value ≤ limit, but for the last place; never for NaN or None."""
    return value is not None and not math.isnan(value) and value <= limit + ROUNDING * max(1.0, abs(limit))
