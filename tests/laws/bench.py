"""The experiments behind the laws: trace, plant, merge, compare. Asserts nothing itself."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from architectures import ARCHITECTURES, Architecture, Group
from laws import surgeon
from laws.oracle import relative_error, run_reference, run_runtime, widen, widen_feeds

from onnxdup.channels import trace
from onnxdup.graph import load, write
from onnxdup.reduce import merge

EXACT_64 = 1e-10
Losses = dict[tuple[str, int, int], int]


def traced(model: onnx.ModelProto, entry: Architecture) -> Any:
    """The trace of a model; dynamic axes take the sizes of the entry's feeds where needed."""
    return trace(load(model))


@cache
def groups_of(name: str) -> tuple[Any, ...]:
    """Channel groups of an architecture with seed 0."""
    entry = ARCHITECTURES[name]
    return tuple(traced(entry.model(), entry).groups)


def free_groups(name: str) -> list[Any]:
    """Groups that may be merged and hold at least two channels."""
    return [g for g in groups_of(name) if g.frozen is None and g.size >= 2]


def expected_of(entry: Architecture, group: Any) -> Group | None:
    """The hand-written expectation that names a producer of the group."""
    names = {b.tensor for b in group.bindings if b.role.name == "PRODUCER"}
    matches = [g for g in entry.groups or () if g.tensor in names and g.size in (None, group.size)]
    return matches[0] if matches else None


def serialise(document: Any) -> bytes:
    """The bytes that onnxdup writes for a document."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write(document, path, external="never")
        return path.read_bytes()


def merged(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model after the exact pass, read back from the file that onnxdup writes."""
    return onnx.ModelProto.FromString(serialise(merge(load(model), tau=1.0).document))


def random_of(*words: object) -> np.random.Generator:
    """A generator seeded by words."""
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def scale_of(symmetry: str, rng: np.random.Generator) -> float:
    """A random scale of the class, well away from the classes inside it."""
    return {
        "COPY": 1.0,
        "SIGN": -1.0,
        "POSITIVE": float(np.exp(rng.uniform(0.3, 1.0) * rng.choice([-1, 1]))),
        "ANY": float(-np.exp(rng.uniform(-0.8, 0.8))),
    }[symmetry]


@dataclass
class Planted:
    """A model with duplicates and how much every bound axis must lose: (node, input, axis) to a number."""

    model: onnx.ModelProto
    losses: Losses = field(default_factory=dict)

    def charge(self, group: Any, count: int) -> None:
        """Add the loss of `count` channels of a group; slices of a tensor lose the same together."""
        charged = set()
        for binding in group.bindings:
            if binding.block is not None and binding.block[1] > 0:
                continue
            slot = surgeon.place(self.model, binding)[1]
            key = (binding.nodes[0], slot, binding.axis)
            assert key not in charged
            charged.add(key)
            self.losses[key] = self.losses.get(key, 0) + count * surgeon.copies(binding)

    def wrong_axes(self, after: onnx.ModelProto) -> list[str]:
        """Axes whose length after merging is not what was planted."""
        wrong = []
        for (node, slot, axis), loss in self.losses.items():
            before, now = (surgeon.width(m, node, slot, axis) for m in (self.model, after))
            if now != before - loss:
                wrong.append(f"{node} input {slot} axis {axis}: {before} -> {now}, expected {before - loss}")
        return wrong


def plant_everywhere(name: str, model: onnx.ModelProto, *, scaled: bool) -> Planted:
    """Every free group gets duplicates: a third of its channels, at least one."""
    entry, result = ARCHITECTURES[name], Planted(model)
    for k, group in enumerate(free_groups(name)):
        rng = random_of(name, k, scaled)
        order, count = rng.permutation(group.size), max(1, group.size // 3)
        sources, targets = order[count:], order[:count]
        for j, target in enumerate(targets):
            expected = expected_of(entry, group)
            symmetry = expected.planted if scaled and expected else "COPY"
            source = int(sources[j % len(sources)])
            result.model = surgeon.plant(result.model, group, source, int(target), scale_of(symmetry, rng))
        result.charge(group, count)
    return result


def error_32(entry: Architecture, before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    """Relative error of the outputs under onnxruntime."""
    return relative_error(run_runtime(before, entry.feeds()), run_runtime(after, entry.feeds()))


def error_64(entry: Architecture, before: onnx.ModelProto, after: onnx.ModelProto) -> float:
    """Relative error of two float64 models under the ReferenceEvaluator."""
    feeds = widen_feeds(entry.feeds())
    return relative_error(run_reference(before, feeds), run_reference(after, feeds))


def wide_model(entry: Architecture) -> onnx.ModelProto:
    """The float64 twin of an architecture."""
    return widen(entry.model())
