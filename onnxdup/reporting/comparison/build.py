"""`build_comparison`: from two documents to a `ComparisonReport`, on their weights or on data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdup.channels import Layer, Trace, trace
from onnxdup.errors import UsageError
from onnxdup.evaluation.correspondence.net import Net
from onnxdup.evaluation.correspondence.pairing import Lone, Pair, pair_layers
from onnxdup.graph import Document, blamed
from onnxdup.reporting.build import wanted
from onnxdup.reporting.comparison import schema
from onnxdup.reporting.runs import TOOL, identity
from onnxdup.reporting.schema import Inputs
from onnxdup.similarity.spectra import ENERGY
from onnxdup.similarity.units import Units

Advance = Callable[[int, int, str], None]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Choice:
    """What is compared and how: `layers` are pairs "a=b", `include` and `exclude` globs on names."""

    tau: float = 0.9
    energy: float = ENERGY
    layers: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    seed: int = 0
    samples: int | None = None
    provider: str = "auto"
    input_shapes: Shapes | None = None

    def check(self) -> None:
        """Raise `UsageError` for numbers out of range."""
        if not 0 < self.tau <= 1:
            raise UsageError(f"tau must lie in (0, 1], not {self.tau}")
        if not 0 < self.energy <= 1:
            raise UsageError(f"energy must lie in (0, 1], not {self.energy}")


@dataclass(frozen=True)
class Found:
    """What a basis (weights or activations) measured."""

    pairs: tuple[schema.LayerPair, ...]
    grid: schema.Grid
    inputs: Inputs | None = None
    provider: str = ""
    provider_note: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """Two networks with paired layers; `shown_*` are the numbers of the layers that are reported."""

    a: Net
    b: Net
    pairs: tuple[Pair, ...]
    shown_a: tuple[int, ...]
    shown_b: tuple[int, ...]
    how: Choice
    say: Advance

    @property
    def nets(self) -> tuple[Net, Net]:
        """Both networks."""
        return self.a, self.b

    @property
    def shown(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Layers of both that are reported."""
        return self.shown_a, self.shown_b

    def chosen(self) -> tuple[Pair, ...]:
        """Pairs of layers that are reported."""
        return tuple(p for p in self.pairs if p.a in self.shown_a and p.b in self.shown_b)

    def grid(self, value: Callable[[int, int], float]) -> schema.Grid:
        """`value` for every layer of the one with every layer of the other."""
        a, b = (
            [net.wired[k].layer.tensor for k in at] for net, at in zip(self.nets, self.shown, strict=True)
        )
        rows = (tuple(value(i, j) for j in self.shown_b) for i in self.shown_a)
        return schema.Grid(tuple(a), tuple(b), tuple(rows))


def build_comparison(
    first: Document,
    second: Document,
    data: Any = None,
    choice: Choice | None = None,
    progress: Advance | None = None,
) -> schema.ComparisonReport:
    """Pair the layers of two networks, and measure how alike each pair is.

    Without `data` on the weights, else on what the layers answer to `data` (anything that `load_data` takes).
    Raises `UsageError`, `InputError`, and with data `CannotVerify`.
    """
    how = choice or Choice()
    how.check()
    with blamed(first), blamed(second):
        return _built(first, second, data, how, progress or _silent)


def _built(
    first: Document, second: Document, data: Any, how: Choice, say: Advance
) -> schema.ComparisonReport:
    a, b = (Net.of(_traced(document, how)) for document in (first, second))
    pairs, lone = pair_layers(a.wired, b.wired, how.layers)
    job = Job(a, b, pairs, _shown(a, how), _shown(b, how), how, say)
    if data is None:
        from onnxdup.reporting.comparison.weights import on_weights

        found = on_weights(job)
    else:
        from onnxdup.reporting.comparison.data import on_data

        found = on_data(job, data)
    return schema.ComparisonReport(
        schema="onnxdup/comparison",
        schema_version=schema.SCHEMA_VERSION,
        tool=TOOL,
        a=identity(first),
        b=identity(second),
        basis="weights" if data is None else "activations",
        tau=how.tau,
        energy=how.energy,
        seed=how.seed,
        inputs=found.inputs,
        provider=found.provider,
        provider_note=found.provider_note,
        pairs=found.pairs,
        unpaired=tuple(_unpaired(x, job) for x in lone if x.at in job.shown[x.side]),
        grid=found.grid,
        notes=found.notes,
    )


def side(layer: Layer, rows: np.ndarray | None = None) -> schema.Side:
    """One layer; filters without a direction are counted in `rows`."""
    dead = 0 if rows is None else len(rows) - len(Units(rows).valid)
    return schema.Side(layer.node, layer.op_type, layer.tensor, layer.filters, layer.fan_in, dead)


def _silent(done: int, total: int, what: str) -> None:
    """No progress."""


def _traced(document: Document, how: Choice) -> Trace:
    return trace(document, input_shapes=own_shapes(document, how.input_shapes))


def own_shapes(document: Document, shapes: Shapes | None) -> Shapes | None:
    """The shapes that name inputs of this model: the other's may have other names."""
    names = {v.name for v in document.inputs}
    return {k: v for k, v in shapes.items() if k in names} if shapes else None


def _shown(net: Net, how: Choice) -> tuple[int, ...]:
    """Layers that `include` and `exclude` choose; those left out still carry the order of the channels."""
    layers = [(k, (w.layer.node, w.layer.tensor)) for k, w in enumerate(net.wired)]
    found = tuple(k for k, names in layers if wanted(names, how.include, how.exclude))
    if not found and layers and (how.include or how.exclude):
        raise UsageError("no layer matches --include and --exclude", file=net.trace.document.path)
    return found


def _unpaired(x: Lone, job: Job) -> schema.Unpaired:
    layer = job.nets[x.side].wired[x.at].layer
    return schema.Unpaired("b" if x.side else "a", layer.node, layer.tensor, layer.filters, x.reason)
