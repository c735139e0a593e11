"""What `shrink` and `sweep` say, as frozen values: documents with a schema of their own, beside `schema`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from onnxdup.reporting.schema import (
    Accuracy,
    Change,
    Inputs,
    MergeReport,
    ModelIdentity,
    Paired,
    Status,
    Tool,
)

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class Budget:
    """`targets` are upper bounds of the model's size, `limits` bounds of what it may lose; names as options.

    keep is a share of channels, latency-ms the median of a batch, max-drop percentage points shown at
    `confidence`, max-error the relative root mean square of the change of the outputs, min-agreement a
    percentage.
    """

    targets: Mapping[str, float]
    limits: Mapping[str, float]
    confidence: float


@dataclass(frozen=True)
class Trial:
    """A candidate that was measured, `position` steps along the path; null: not measured.

    `keep` is the share of channels left, `drop` percentage points of accuracy with its one-sided upper bound,
    `error` the relative root mean square of the outputs' change, `agreement` a percentage.
    """

    position: int
    keep: float | None
    parameters: int | None
    macs: int | None
    bytes: int | None
    latency_ms: float | None
    drop: float | None
    drop_bound: float | None
    error: float | None
    agreement: float | None
    enough: bool | None
    good: bool | None


@dataclass(frozen=True)
class GroupWidth:
    """Channels of a group in the given and in the chosen model.

    `sensitivity` is measured over predicted squared error of the outputs at a small cut of this group alone,
    null where that was not measured.
    """

    group: str
    channels: Change
    sensitivity: float | None = None


@dataclass(frozen=True)
class Holdout:
    """The chosen model on data that were not used to choose it."""

    inputs: Inputs
    accuracy_before: Accuracy | None
    accuracy_after: Accuracy | None
    paired: Paired | None
    agreement: float | None


@dataclass(frozen=True)
class ShrinkReport:
    """Document of `onnxdup shrink`.

    `steps` is the length of the path, `chosen` the position taken; it is null, and `merge` too, where no
    candidate was within the budget. `resumed` results came from an earlier run.
    """

    schema: Literal["onnxdup/shrink"]
    schema_version: str
    tool: Tool
    status: Status
    model: ModelIdentity
    budget: Budget
    method: str
    round_to: int
    steps: int
    chosen: int | None
    trials: tuple[Trial, ...]
    groups: tuple[GroupWidth, ...]
    merge: MergeReport | None
    holdout: Holdout | None
    resumed: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepPoint:
    """One reduced model: `tau` or `keep` is the setting, the other is null. `error` as in `Trial`.

    `note` says why there is no model at this setting; the numbers are then those of the original.
    """

    method: str
    tau: float | None
    keep: float | None
    filters: int
    parameters: int
    macs: int | None
    bytes: int
    accuracy: Accuracy | None
    paired: Paired | None
    error: float | None
    agreement: float | None
    note: str = ""


@dataclass(frozen=True)
class SweepReport:
    """Document of `onnxdup sweep`: accuracy against compression; `base` is the original."""

    schema: Literal["onnxdup/sweep"]
    schema_version: str
    tool: Tool
    model: ModelIdentity
    inputs: Inputs
    provider: str
    provider_note: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    base: SweepPoint
    points: tuple[SweepPoint, ...]
    resumed: int
    notes: tuple[str, ...] = ()


SearchReport = ShrinkReport | SweepReport
DOCUMENTS: Mapping[str, type[SearchReport]] = {"onnxdup/shrink": ShrinkReport, "onnxdup/sweep": SweepReport}
