"""What models are held to."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

from onnxdup.errors import UsageError


@dataclass(frozen=True)
class Budgets:
    """Limits; None: not held to it.

    `max_duplicates` is the share of duplicate filters at `tau` (1 − eta of the paper), `max_removable` that
    of the filters that `merge --tau` would remove, both in percent. `max_bytes` includes external data,
    `max_macs` are for one sample. `max_drop` are percentage points of accuracy below the reference, shown at
    `confidence`; `base_accuracy` (percent) is the reference where there is no model to compare with.
    `min_agreement` is the percentage of equal top-1 answers, `max_latency_ratio` the median time of a batch
    divided by the reference's. Raises `UsageError` for a limit that is out of range.
    """

    tau: float = 1.0
    max_duplicates: float | None = None
    max_removable: float | None = None
    max_bytes: int | None = None
    max_macs: int | None = None
    max_parameters: int | None = None
    max_drop: float | None = None
    confidence: float = 0.95
    base_accuracy: float | None = None
    min_agreement: float | None = None
    max_latency_ratio: float | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{key(name)} {value:g} is outside {low:g} to {high:g}")

    @property
    def empty(self) -> bool:
        """Whether nothing is limited."""
        return all(getattr(self, name) is None for name in LIMITS)

    @property
    def against(self) -> tuple[str, ...]:
        """Keys of the limits that need a reference model."""
        return tuple(key(n) for n in ("min_agreement", "max_latency_ratio") if getattr(self, n) is not None)


_SMALLEST = 1e-9
_INFINITE = float("inf")
_RANGES: Mapping[str, tuple[float, float]] = {
    "tau": (_SMALLEST, 1),
    "confidence": (0.5, 1 - _SMALLEST),
    **dict.fromkeys(
        ("max_duplicates", "max_removable", "base_accuracy", "min_agreement", "max_drop"), (0, 100)
    ),
    **dict.fromkeys(("max_bytes", "max_macs", "max_parameters", "max_latency_ratio"), (0, _INFINITE)),
}
LIMITS = (
    *("max_duplicates", "max_removable", "max_bytes", "max_macs", "max_parameters"),
    *("max_drop", "min_agreement", "max_latency_ratio"),
)
_AMOUNTS = frozenset({"max_bytes", "max_macs", "max_parameters"})
_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
DEFAULT = Budgets(max_removable=0.0)
"""What is demanded where nothing is asked for: no filter that an exact merge would remove."""


@dataclass(frozen=True)
class Override:
    """Other limits for the models whose path matches a glob."""

    glob: str
    changes: Mapping[str, float]

    def matches(self, path: str) -> bool:
        """Whether the glob names this path, or its end (`big.onnx` names `models/big.onnx`)."""
        parts = PurePath(path).as_posix()
        return fnmatchcase(parts, self.glob) or fnmatchcase(parts, f"*/{self.glob}")


def budgets_for(path: str, budgets: Budgets, overrides: Sequence[Override]) -> Budgets:
    """The budgets of one model: later overrides win; without any limit, those of `DEFAULT`."""
    for override in overrides:
        if override.matches(path):
            budgets = dataclasses.replace(budgets, **override.changes)  # type: ignore[arg-type]
    return dataclasses.replace(budgets, max_removable=0.0) if budgets.empty else budgets


def key(field: str) -> str:
    """A budget as configuration files and the command line spell it: max_drop → max-drop."""
    return field.replace("_", "-")


def override(glob: str, values: Mapping[str, Any]) -> Override:
    """An override from keys as files spell them; UsageError for an unknown key or a bad value."""
    fields = {key(f.name): f.name for f in dataclasses.fields(Budgets)}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            remedy = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(fields)}"
            raise UsageError(f"unknown budget {name} for {glob}", remedy=remedy)
    changes = {fields[k]: _number(k, fields[k], v) for k, v in values.items()}
    Budgets(**changes)  # type: ignore[arg-type]
    return Override(glob, changes)


def _number(name: str, field: str, value: Any) -> float:
    if field in _AMOUNTS:
        return amount(value)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} {value!r} is not a number") from error


def amount(value: Any) -> int:
    """1500000, "1.5M", "1.5 MB", "2MiB" → a whole number; UsageError where it is none."""
    text = str(value).strip().lower().removesuffix("b")
    digits = text.rstrip("kmgti ")
    unit = _UNITS.get(text[len(digits) :].strip())
    try:
        number = float(digits) * (unit if unit is not None else float("nan"))
        if not 0 <= number < 1e30:
            raise ValueError
    except ValueError as error:
        raise UsageError(f"{value!r} is not an amount", remedy="write 1500000, 1.5M or 1.5MB") from error
    return round(number)
