"""What `onnxdup compare` says about two networks, as frozen values; its JSON Schema comes from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onnxdup.reporting.schema import Inputs, ModelIdentity, Tool

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class Side:
    """A layer of one network; `dead` filters have no direction (all zero, or constant on the data)."""

    node: str
    op: str
    tensor: str
    filters: int
    fan_in: int
    dead: int


@dataclass(frozen=True)
class Correlation:
    """SV-CCA of two layers: `values` are the canonical correlations of subspaces of `rank_a` and `rank_b`
    dimensions among `samples` numbers, `mean` their mean, `chance` that of random subspaces of this size.
    """

    mean: float
    chance: float
    rank_a: int
    rank_b: int
    samples: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Matching:
    """The best one-to-one matching up to order, sign and scale.

    `partners` and `cosines` have an entry per filter of the first network: the filter of the second (−1:
    none) and the signed cosine (null: none). `mean`, `median` and `above` (share of the pairs with at least
    tau) are of |cosine|; `opposite` is the share of negative ones. `chance` is the mean |cosine| of matched
    random directions, `chance_high` that which 5 % of them exceed.
    """

    pairs: int
    mean: float
    median: float
    above: float
    opposite: float
    chance: float
    chance_high: float
    unmatched_a: int
    unmatched_b: int
    partners: tuple[int, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True)
class LayerPair:
    """Two layers that were compared. `columns` is how many inputs per filter (of data: points) both have.

    `inputs`: the model's own, channels matched layer by layer, or the order of the file where no channel
    could be followed; with data the points at which both answer. `note` says why a part is missing.
    """

    a: Side
    b: Side
    paired: Literal["name", "order", "choice"]
    inputs: Literal["model inputs", "matched", "as stored", "data"]
    columns: int
    correlation: Correlation | None
    matching: Matching | None
    note: str


@dataclass(frozen=True)
class Unpaired:
    """A layer that nothing was compared with, and why."""

    network: Literal["a", "b"]
    node: str
    tensor: str
    filters: int
    reason: str


@dataclass(frozen=True)
class Grid:
    """SV-CCA of every layer of the first network (rows) with every layer of the second; null where the two
    cannot be compared.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    correlation: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ComparisonReport:
    """Document of `onnxdup compare`. `inputs` and `provider` are those of a comparison on data."""

    schema: Literal["onnxdup/comparison"]
    schema_version: str
    tool: Tool
    a: ModelIdentity
    b: ModelIdentity
    basis: Literal["weights", "activations"]
    tau: float
    energy: float
    seed: int
    inputs: Inputs | None
    provider: str
    provider_note: str
    pairs: tuple[LayerPair, ...]
    unpaired: tuple[Unpaired, ...]
    grid: Grid
    notes: tuple[str, ...] = ()
