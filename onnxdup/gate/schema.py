"""What the gate measures and says, as frozen values: `CheckReport` is the document of `onnxdup check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onnxdup.reporting.schema import (
    Accuracy,
    AtTau,
    Check,
    Failure,
    Inputs,
    Latency,
    ModelIdentity,
    Paired,
    Tool,
)

SCHEMA_VERSION = "1.0"
Outcome = Literal["passed", "failed", "inconclusive", "error"]


@dataclass(frozen=True)
class Reference:
    """The base that a model is held against. Everything after `accuracy` compares the two on the same inputs.

    From an archived report `model` may be all that is known. `paired`, `agreement` and `latency` are None
    where the base was not run beside the model.
    """

    model: ModelIdentity
    filters: int | None
    taus: tuple[AtTau, ...]
    parameters: int | None
    macs: int | None
    accuracy: Accuracy | None
    paired: Paired | None = None
    agreement: float | None = None
    latency: Latency | None = None


@dataclass(frozen=True)
class Facts:
    """What was measured on one model: all that its budgets are judged by."""

    model: ModelIdentity
    filters: int | None
    taus: tuple[AtTau, ...]
    parameters: int | None
    macs: int | None
    inputs: Inputs | None
    provider: str
    provider_note: str
    accuracy: Accuracy | None
    latency: Latency | None
    base: Reference | None


@dataclass(frozen=True)
class ModelCheck:
    """One model: the facts, and a check per budget."""

    status: Outcome
    facts: Facts
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class CheckReport:
    """Document of `onnxdup check`; `failures` are the models that could not be measured."""

    schema: Literal["onnxdup/check"]
    schema_version: str
    tool: Tool
    status: Outcome
    models: tuple[ModelCheck, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()
