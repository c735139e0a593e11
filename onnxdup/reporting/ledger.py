"""The ledger of exact merges: what was merged, why it is equal, and the way to derive it again from the
original.

A ledger holds the exact rounds of a plan. `derive` walks them on the original: in each round every entry is
held against the channels themselves (`derivation`), without the code that found it; then the round is
applied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxdup.channels import trace
from onnxdup.errors import InputError
from onnxdup.graph import Document
from onnxdup.merging import Merge, MergePlan, Readers, clones_as_lists, clones_of
from onnxdup.merging.plan import READABLE, version_of
from onnxdup.reporting.derivation import refuted
from onnxdup.reporting.schema import Check
from onnxdup.surgery import apply, separated

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Ledger:
    """Exact rounds for the model with hash `source`; `complete` when nothing else was done to it."""

    source: str
    ulps: float
    complete: bool
    rounds: tuple[tuple[Merge, ...], ...]
    shapes: Mapping[str, tuple[int, ...]]
    constant_inputs: bool = False
    clones: tuple[Readers, ...] = ()

    @property
    def entries(self) -> int:
        """Number of channels it accounts for."""
        return sum(len(m.entries) for merges in self.rounds for m in merges)

    def to_json(self) -> str:
        """Text of a ledger file; equal ledgers give equal text."""
        content = {
            "onnxdup_ledger": version_of(e for merges in self.rounds for m in merges for e in m.entries),
            "source": self.source,
            "ulps": self.ulps,
            "complete": self.complete,
            "constant_inputs": self.constant_inputs,
            "clones": clones_as_lists(self.clones),
            "input_shapes": {name: list(shape) for name, shape in sorted(self.shapes.items())},
            "rounds": [[m.as_dict() for m in merges] for merges in self.rounds],
        }
        return json.dumps(content, indent=1, allow_nan=False) + "\n"

    @property
    def sha256(self) -> str:
        """Hash of the file, for the model's metadata."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def ledger_of(plan: MergePlan, ulps: float, shapes: Shapes | None = None) -> Ledger:
    """The exact rounds of a plan; they come before anything else."""
    rounds = exact_rounds(plan)
    complete = len(rounds) == len(plan.rounds)
    return Ledger(plan.source, ulps, complete, rounds, dict(shapes or {}), plan.constant_inputs, plan.clones)


def exact_rounds(plan: MergePlan) -> tuple[tuple[Merge, ...], ...]:
    """The leading rounds of a plan in which every merge is proven."""
    rounds = []
    for merges in plan.rounds:
        if not all(m.entries and not m.combine for m in merges):
            break
        rounds.append(merges)
    return tuple(rounds)


def ledger_path(model: Path) -> Path:
    """Where the ledger of a model lies."""
    return model.with_name(f"{model.name}.ledger.json")


def read(path: Path) -> Ledger:
    """A ledger file. InputError where it is not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _parse(data)
    except OSError as error:
        raise InputError(f"the ledger cannot be read: {error.strerror}", file=path) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"is not a ledger ({type(error).__name__})", file=path) from error


def _parse(data: Any) -> Ledger:
    if data["onnxdup_ledger"] not in READABLE:
        raise InputError(f"ledger version {data['onnxdup_ledger']} is not supported")
    rounds = tuple(tuple(Merge.from_dict(m) for m in merges) for merges in data["rounds"])
    shapes = {name: tuple(shape) for name, shape in data["input_shapes"].items()}
    fixed = bool(data.get("constant_inputs", False))
    clones = clones_of(data.get("clones", []))
    return Ledger(data["source"], float(data["ulps"]), bool(data["complete"]), rounds, shapes, fixed, clones)


def derive(original: Document, reduced: Document, ledger: Ledger) -> Check:
    """Derives the ledger again from the original; where it is complete the reduced weights must follow from
    it.
    """
    name = "ledger"
    if ledger.source != original.sha256():
        return Check(name, "failed", "it was written for another original (the hashes differ)")
    start = original.with_constant_inputs() if ledger.constant_inputs else original
    traced = trace(separated(start, ledger.clones), input_shapes=ledger.shapes)
    for merges in ledger.rounds:
        for merge in merges:
            reason = refuted(traced, merge, ledger.ulps)
            if reason is not None:
                words = f"its merges of the channels of {merge.group} cannot be derived from the original"
                return Check(name, "failed", f"{words}: {reason}")
        traced = trace(apply(traced, merges), input_shapes=ledger.shapes)
    if ledger.complete:
        different = _different(traced.document, reduced)
        if different is not None:
            return Check(
                name, "failed", f"the tensor {different} is not what its merges make of the original"
            )
    return Check(name, "passed", f"{ledger.entries} exact merges derived again from the original")


def _different(expected: Document, found: Document) -> str | None:
    """The first weight of `expected` that `found` lacks or holds otherwise."""
    for name in expected.weights:
        if name not in found.weights:
            return name
        if expected.weights.info(name).shape != found.weights.info(name).shape:
            return name
        if not np.array_equal(expected.weights.array(name), found.weights.array(name), equal_nan=False):
            return name
    return None
