"""What onnxdup says about models, as frozen values. Everything printed or exported is one of these four
documents.

`Report` (of `onnxdup report`), `MergeReport`, `EvaluationReport` and `VerificationReport`. The JSON form is
`codec.to_dict`, the JSON Schema files in `schemas/` are generated from the classes by
`python -m onnxdup.reporting`.

Versions: `schema_version` is "major.minor"; a new optional field raises the minor, a changed or removed one
the major.

Words follow RoyChowdhury et al. 2018: `components` is #CC of the similarity graph at tau, eta = #CC /
#filters, 1 − eta the share of duplicates. `clusters` is the stricter complete-linkage reading that `onnxdup
merge` uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = "1.0"
Status = Literal["passed", "failed", "inconclusive", "skipped"]


@dataclass(frozen=True)
class Tool:
    """The program that wrote the document."""

    name: str
    version: str


@dataclass(frozen=True)
class ModelIdentity:
    """Which file was read: the hash and the bytes include external data."""

    path: str | None
    sha256: str
    bytes: int
    producer: str
    ir_version: int
    opsets: Mapping[str, int]


@dataclass(frozen=True)
class Freeze:
    """Why a channel group cannot be merged, and the node that decides it."""

    reason: str
    node: str


@dataclass(frozen=True)
class Norms:
    """L2 norms of a layer's filters."""

    smallest: float
    median: float
    largest: float


@dataclass(frozen=True)
class PairCosines:
    """Cosines of all pairs of non-zero filters that read the same inputs; `counts` are equal bins from −1 to
    1.

    `nearest_*` are about each filter's cosine with its nearest neighbour.
    """

    pairs: int
    mean: float
    standard_deviation: float
    kurtosis: float
    counts: tuple[int, ...]
    nearest_median: float
    nearest_largest: float


@dataclass(frozen=True)
class Spectrum:
    """Singular values of a layer's filter matrix (largest first), its 99 % energy rank, ‖W‖_tr/√(nm)."""

    singular_values: tuple[float, ...]
    rank_99: int
    trace_complexity: float


@dataclass(frozen=True)
class AtTau:
    """Both readings of "group" at one threshold; `removable` is what `merge --tau` would take from this
    layer.
    """

    tau: float
    filters: int
    components: int
    eta: float
    duplicate_share: float
    clusters: int
    removable: int


@dataclass(frozen=True)
class LayerReport:
    """One weight of one node: filters are its output rows, bias excluded."""

    node: str
    op: str
    tensor: str
    shape: tuple[int, ...]
    filters: int
    fan_in: int
    dead: int
    constant: int
    groups: tuple[str, ...]
    symmetry: str
    frozen: Freeze | None
    norms: Norms | None
    cosines: PairCosines | None
    spectrum: Spectrum | None
    note: str
    taus: tuple[AtTau, ...]


@dataclass(frozen=True)
class GroupReport:
    """A channel group: the coupled identity that is cut or kept as a whole."""

    name: str
    channels: int
    symmetry: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    frozen: Freeze | None


@dataclass(frozen=True)
class Obstacle:
    """One line of "why not more": a reason, how many groups and filters it holds, and one node as example."""

    reason: str
    groups: int
    filters: int
    node: str


@dataclass(frozen=True)
class Totals:
    """Sums over the layers of the report."""

    layers: int
    filters: int
    dead: int
    constant: int
    parameters: int
    groups: int
    frozen_groups: int
    taus: tuple[AtTau, ...]


@dataclass(frozen=True)
class ModelReport:
    """Duplicates of one model, per layer and in total."""

    model: ModelIdentity
    totals: Totals
    layers: tuple[LayerReport, ...]
    groups: tuple[GroupReport, ...]
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A file that could not be reported: the line an error would show, and its exit code."""

    path: str
    exit_code: int
    message: str


@dataclass(frozen=True)
class Report:
    """Document of `onnxdup report`."""

    schema: Literal["onnxdup/report"]
    schema_version: str
    tool: Tool
    models: tuple[ModelReport, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Interval:
    """A confidence interval (Wilson for proportions)."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Accuracy:
    """Share of samples whose label is the first (or among the first five) of the scores."""

    samples: int
    top1: float
    top1_interval: Interval
    top5: float | None


@dataclass(frozen=True)
class Paired:
    """Two models on the same samples: discordant pairs, McNemar's exact p, the drop and its interval."""

    only_before_right: int
    only_after_right: int
    p_value: float
    drop: float
    drop_interval: Interval


@dataclass(frozen=True)
class Fidelity:
    """How near one output of the reduced model is to the original's on the same inputs.

    `noise` is the error between two correct ways of running the original: what rounding alone does.
    """

    output: str
    max_absolute_error: float
    mean_absolute_error: float
    relative_error: float
    cosine: float
    agreement: float | None
    noise: float
    note: str


@dataclass(frozen=True)
class Check:
    """One verification with its verdict; `value` against `limit` where there are numbers."""

    name: str
    status: Status
    detail: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Change:
    """A quantity before and after."""

    before: int
    after: int


@dataclass(frozen=True)
class LayerChange:
    """Filters of one layer before and after a merge."""

    node: str
    op: str
    tensor: str
    filters: Change


@dataclass(frozen=True)
class Inputs:
    """What the models were run on."""

    source: str
    samples: int
    labels: bool
    seed: int | None


@dataclass(frozen=True)
class PlanSummary:
    """What was merged: channels removed by exact relations, dropped as dead or constant, and merged
    approximately.
    """

    method: str
    tau: float
    groups: int
    exact: int
    approximate: int


@dataclass(frozen=True)
class MergeReport:
    """Document of `onnxdup merge`."""

    schema: Literal["onnxdup/merge"]
    schema_version: str
    tool: Tool
    status: Status
    model: ModelIdentity
    output: ModelIdentity | None
    ledger: str | None
    plan: PlanSummary
    layers: tuple[LayerChange, ...]
    filters: Change
    parameters: Change
    macs: Change | None
    bytes: Change
    inputs: Inputs | None
    provider: str
    provider_note: str
    accuracy_before: Accuracy | None
    accuracy_after: Accuracy | None
    paired: Paired | None
    fidelity: tuple[Fidelity, ...]
    checks: tuple[Check, ...]
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """Median time of one batch in milliseconds, with its quartiles."""

    batch: int
    runs: int
    median_ms: float
    lower_quartile_ms: float
    upper_quartile_ms: float


@dataclass(frozen=True)
class EvaluationReport:
    """Document of `onnxdup evaluate`."""

    schema: Literal["onnxdup/evaluation"]
    schema_version: str
    tool: Tool
    model: ModelIdentity
    parameters: int
    macs: int | None
    inputs: Inputs
    provider: str
    provider_note: str
    accuracy: Accuracy | None
    latency: Latency | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerificationReport:
    """Document of `onnxdup verify`."""

    schema: Literal["onnxdup/verification"]
    schema_version: str
    tool: Tool
    status: Status
    original: ModelIdentity
    reduced: ModelIdentity
    inputs: Inputs
    provider: str
    provider_note: str
    accuracy_before: Accuracy | None
    accuracy_after: Accuracy | None
    paired: Paired | None
    fidelity: tuple[Fidelity, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


Artefact = Report | MergeReport | EvaluationReport | VerificationReport
DOCUMENTS: Mapping[str, type[Artefact]] = {
    "onnxdup/report": Report,
    "onnxdup/merge": MergeReport,
    "onnxdup/evaluation": EvaluationReport,
    "onnxdup/verification": VerificationReport,
}
