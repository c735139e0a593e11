"""What is measured on one file of the zoo: the report, the two laws, merging as it is."""

from __future__ import annotations

import zlib
from collections import Counter
from functools import cache, cached_property
from typing import Any

import numpy as np
import onnx
from laws.bench import serialise
from zoo_files import Entry
from zoo_planter import Planter

from onnxdup.channels import ChannelGroup, Trace, trace
from onnxdup.evaluation import Comparison, compare
from onnxdup.graph import Document, load
from onnxdup.merging.dependence import candidate_path
from onnxdup.reduce import Reduction, merge

AT_ONCE = 8
NOISE, ROUNDING = 32.0, 2e-5
"""Errors allowed: times the noise between two correct ways to run the original, and of the largest output.

Planting overwrites features of a trained net, which can leave it badly conditioned.
"""


class Specimen:
    """A file of the zoo, what it reduces to, and the experiments on it."""

    def __init__(self, entry: Entry) -> None:
        self.entry, self.shapes = entry, entry.shapes

    @cached_property
    def document(self) -> Document:
        """The file; raises InputError where it is refused."""
        return load(self.entry.path)

    @cached_property
    def reduction(self) -> Reduction:
        """The exact pass on the file."""
        return merge(self.document, 1.0, input_shapes=self.shapes)

    @property
    def trace(self) -> Trace:
        """Channels of the file as it is."""
        return self.reduction.before

    @cached_property
    def base(self) -> onnx.ModelProto:
        """The file without its own duplicates: what is planted there is all there is to find."""
        return onnx.ModelProto.FromString(serialise(self.reduction.document))

    @cached_property
    def free(self) -> list[Any]:
        """Groups of `base` that may be merged and have at least two channels."""
        found = trace(load(self.base), input_shapes=self.shapes).groups
        return [g for g in found if g.frozen is None and g.size >= 2]

    def compare(self, before: object, after: object) -> Comparison:
        """Both models in onnxruntime on the same made-up inputs."""
        return compare(before, after, provider="cpu", samples=2, batch=1, input_shapes=self.shapes)

    def rng(self, what: str) -> np.random.Generator:
        """Seeded by the name of the file and of the experiment."""
        return np.random.default_rng(zlib.crc32(f"{self.entry.name} {what}".encode()))

    def permuted(self) -> onnx.ModelProto:
        """Every free group in another order."""
        planter, rng = Planter(self.base), self.rng("permute")
        for group in self.free:
            planter.permute(group, rng.permutation(group.size))
        return planter.finish()

    def planted(self, *, scaled: bool) -> tuple[onnx.ModelProto, Counter[str]]:
        """Every free group with up to eight duplicates (at most a third of it), and how many each got."""
        planter, rng, counts = Planter(self.base), self.rng(f"plant {scaled}"), Counter[str]()
        for group in self.free:
            count = min(AT_ONCE, max(1, group.size // 3))
            order = rng.permutation(group.size)
            targets, sources = order[:count], rng.choice(order[count:], count)
            scales = [scale_of(group, rng) if scaled else 1.0 for _ in range(count)]
            planter.plant(group, sources, targets, np.array(scales))
            counts[group.name] = count
        return planter.finish(), counts


@cache
def specimen(entry: Entry) -> Specimen:
    """One specimen per file and process."""
    return Specimen(entry)


def scale_of(group: Any, rng: np.random.Generator) -> float:
    """A scale that the group's algebra allows; a power of two, so that rows stay exact multiples.

    Integers and hidden units of recurrent layers get copies.
    """
    if group.quantised or group.recurrences:
        return 1.0
    size = float(2.0 ** rng.integers(-2, 3))
    return {"COPY": 1.0, "SIGN": -1.0, "POSITIVE": size, "ANY": -size}[group.symmetry.name]


def removed(reduction: Reduction) -> Counter[str]:
    """Channels removed per group, over all rounds."""
    found = Counter[str]()
    for merged in reduction.plan.merges:
        found[merged.group] += merged.size - len(merged.keep)
    return found


def unexpected(found: Specimen, planted: Counter[str], reduction: Reduction) -> dict[str, tuple[int, int]]:
    """Groups that did not lose what was planted in them: (lost, planted).

    Linear groups may lose more: where layers before them get narrower, they become wider than their rank.
    """
    gone = removed(reduction)
    linear = {g.name for g in found.free if _is_linear(g)}
    return {
        name: (gone[name], planted[name])
        for name in gone.keys() | planted.keys()
        if gone[name] < planted[name] or (gone[name] > planted[name] and name not in linear)
    }


def _is_linear(group: ChannelGroup) -> bool:
    """Do its channels meet linear operators alone?"""
    path = candidate_path(group)
    return path is not None and path.linear


def excess(comparison: Comparison) -> dict[str, float]:
    """Outputs that differ by more than rounding, and by how much: empty where a merge is right."""
    allowed = {
        f.output: max(NOISE * comparison.noise.floor(f.output), ROUNDING * f.scale)
        for f in comparison.fidelity
    }
    errors = {f.output: f.max_absolute_error for f in comparison.fidelity}
    return {name: error for name, error in errors.items() if not error <= allowed[name]}


def relative_error(comparison: Comparison) -> float:
    """The largest error of an output, relative to its largest value."""
    return max((f.max_absolute_error / max(f.scale, 1e-30) for f in comparison.fidelity), default=0.0)


def filters_by_reason(traced: Trace) -> Counter[str]:
    """Filters of all layers by the reason why they stay; those of free groups under the empty reason.

    The filters of a layer in several groups are shared out by the sizes of the groups.
    """
    groups, found = {g.name: g for g in traced.groups}, Counter[str]()
    for layer in traced.layers:
        own = [groups[name] for name in layer.groups]
        channels = sum(g.size for g in own)
        for group in own:
            reason = group.frozen.reason if group.frozen else ""
            found[reason] += round(layer.filters * group.size / channels)
        if not own:
            found[layer.reason or "its filters are no channels"] += layer.filters
    return found
