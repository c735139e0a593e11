"""The comparison on data: what the layers answer at the same points, before their non-linearities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from onnxdup.errors import InputError
from onnxdup.evaluation.correspondence.activations import (
    Points,
    Probe,
    activations,
    points_for,
    probe_of,
)
from onnxdup.evaluation.correspondence.net import Net
from onnxdup.evaluation.correspondence.pairing import Pair
from onnxdup.evaluation.data import Dataset, as_dataset
from onnxdup.graph.expose import random_nodes, with_seeds
from onnxdup.reporting.comparison import schema
from onnxdup.reporting.comparison.build import Found, Job, side
from onnxdup.reporting.comparison.measure import Baseline, correlate, match
from onnxdup.reporting.schema import Inputs
from onnxdup.similarity.correlation import subspace
from onnxdup.similarity.matching import LARGEST
from onnxdup.similarity.units import Floats, Singles

PER_DIRECTION = 5
"""Points per direction below which correlations are inflated."""
_PROVIDERS = {"CPUExecutionProvider": "CPU", "CUDAExecutionProvider": "CUDA"}


def on_data(job: Job, data: object) -> Found:
    """Run both networks on the same samples and compare what their layers answer."""
    sets = [as_dataset(data, net.trace.document) for net in job.nets]
    if len(sets[0]) != len(sets[1]):
        raise InputError(
            f"the models read {len(sets[0])} and {len(sets[1])} samples", file=sets[0].source,
            remedy="compare models with inputs of the same shape",
        )  # fmt: skip
    channels = sum(
        net.wired[k].layer.filters for net, at in zip(job.nets, job.shown, strict=True) for k in at
    )
    wanted = points_for(len(sets[0]), channels)
    samples = min(job.how.samples or len(sets[0]), wanted)
    points = Points.draw(min(samples, len(sets[0])), wanted, job.how.seed)
    answers = [
        Answers.read(job, net, at, chosen.take(samples, job.how.seed), points, place)
        for place, (net, at, chosen) in enumerate(zip(job.nets, job.shown, sets, strict=True))
    ]
    return _found(job, answers, Inputs(sets[0].source, len(points.places), False, None))


class Answers:
    """Values (filters, points) of the layers of one network, by number; `missing` says why there are none."""

    def __init__(self, values: dict[int, Singles], missing: dict[int, str], energy: float) -> None:
        self.values, self.missing, self._energy = values, missing, energy
        self.provider, self.note = "", ""
        self._bases: dict[int, Floats] = {}

    @classmethod
    def read(
        cls, job: Job, net: Net, shown: tuple[int, ...], dataset: Dataset, points: Points, place: int
    ) -> Answers:
        """Run the network."""
        document = net.trace.document
        document = with_seeds(document) if random_nodes(document) else document
        nodes = {n.name: n for n in document.nodes}
        probes = {k: probe_of(document, net.wired[k].layer, nodes) for k in shown}
        usable = {k: p for k, p in probes.items() if isinstance(p, Probe)}
        job.say(place, 3, f"running {document.origin or 'the model'}")
        found, provider, note = activations(
            document, tuple(usable.values()), dataset, points, provider=job.how.provider
        )
        out = cls({}, {k: p for k, p in probes.items() if isinstance(p, str)}, job.how.energy)
        out.provider, out.note = provider, note
        for k, values in zip(usable, found, strict=True):
            if values is None or len(values) != net.wired[k].layer.filters:
                out.missing[k] = "its output has no axis of samples and filters"
            else:
                out.values[k] = _centred(values)
        return out

    def basis(self, k: int) -> Floats | None:
        """The layer's subspace, computed once."""
        if k not in self.values:
            return None
        if k not in self._bases:
            self._bases[k] = subspace(self.values[k], self._energy)
        return self._bases[k]


def _found(job: Job, answers: list[Answers], inputs: Inputs) -> Found:
    baseline, chosen = Baseline(job.how.seed), job.chosen()
    job.say(2, 3, "comparing")
    pairs = tuple(_pair(job, answers, p, baseline) for p in chosen)
    grid = job.grid(lambda i, j: _correlation(answers, i, j))
    job.say(3, 3, "")
    notes = _few(pairs)
    first = answers[0]
    return Found(pairs, grid, inputs, _PROVIDERS.get(first.provider, first.provider), first.note, notes)


def _pair(job: Job, answers: list[Answers], pair: Pair, baseline: Baseline) -> schema.LayerPair:
    a, b = job.a.wired[pair.a].layer, job.b.wired[pair.b].layer
    x, y = answers[0].values.get(pair.a), answers[1].values.get(pair.b)
    if x is None or y is None:
        note = answers[0].missing.get(pair.a) or answers[1].missing.get(pair.b) or ""
        return schema.LayerPair(side(a), side(b), pair.how, "data", 0, None, None, note)
    u, v = answers[0].basis(pair.a), answers[1].basis(pair.b)
    x, y = _level(x, y)
    few = max(a.filters, b.filters) <= LARGEST
    return schema.LayerPair(
        a=side(a, x),
        b=side(b, y),
        paired=pair.how,
        inputs="data",
        columns=x.shape[1],
        correlation=_correlated(u, v),
        matching=match(x, y, job.how.tau, baseline) if few else None,
        note="" if few else f"more than {LARGEST} filters: not matched",
    )


def _correlation(answers: list[Answers], i: int, j: int) -> float:
    found = _correlated(answers[0].basis(i), answers[1].basis(j))
    return found.mean if found else math.nan


def _correlated(u: Floats | None, v: Floats | None) -> schema.Correlation | None:
    if u is None or v is None:
        return None
    longest = max(len(u), len(v))
    return correlate(*(np.repeat(x, longest // len(x), axis=0) / np.sqrt(longest // len(x)) for x in (u, v)))


def _level(x: Singles, y: Singles) -> tuple[Singles, Singles]:
    """A layer without places says the same at every place."""
    longest = max(x.shape[1], y.shape[1])
    first, second = (np.repeat(v, longest // v.shape[1], axis=1) for v in (x, y))
    return first, second


def _few(pairs: Sequence[schema.LayerPair]) -> tuple[str, ...]:
    """A word where there are too few points for the directions of a layer."""
    ranks = [(max(c.rank_a, c.rank_b), c.samples) for p in pairs if (c := p.correlation)]
    short = [(rank, samples) for rank, samples in ranks if samples < PER_DIRECTION * rank]
    if not short:
        return ()
    rank, samples = max(short, key=lambda x: x[0] / x[1])
    return (
        f"{samples} points for the {rank} directions of a layer: its SV-CCA is inflated, compare it with "
        f"chance or give more samples ({PER_DIRECTION * rank} would do)",
    )


def _centred(values: Singles) -> Singles:
    """Rows without their mean; those that only differ by rounding are constant, hence zero."""
    mean = values.mean(axis=1, keepdims=True, dtype=np.float64)
    values = (values - mean).astype(np.float32)
    still = np.abs(values).max(axis=1, initial=0) <= 1e-6 * np.abs(mean[:, 0])
    values[still] = 0
    return values
