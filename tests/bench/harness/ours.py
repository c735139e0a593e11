"""The methods of this project, through its public interface."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from scipy.cluster.hierarchy import linkage

import onnxdup
from onnxdup.channels import ChannelGroup, Trace, trace
from onnxdup.graph import Document
from onnxdup.merging import METHODS
from onnxdup.merging.problem import Problem

SHRINK = "shrink"
TAU_ONLY = frozenset({"paper"})
"""Methods that know no share of channels: tau is searched until as many channels are left."""
DATA_AWARE = frozenset({"obs"})
"""Methods that look at moments, and therefore at calibration data."""
NEAR = 0.5
"""Any tau below 1 makes `merge` approximate; where `keep` decides, its value does not matter."""


@dataclass(frozen=True)
class Request:
    """One reduction: what, how much, and the calibration data (None without)."""

    method: str
    keep: float
    include: tuple[str, ...]
    calibration: Path | None = None


def names() -> list[str]:
    """The approximate methods of the table, in its order, and `shrink`, which allocates over the groups."""
    return [*(name for name, method in METHODS.items() if method.selection is not None), SHRINK]


def takes_data(method: str) -> bool:
    """Does a method look at calibration data?"""
    return "calibration" in inspect.signature(onnxdup.merge).parameters and method in DATA_AWARE


def reduced(document: Document, request: Request) -> onnx.ModelProto:
    """The reduced model, as it is written; UsageError and its kin where the method declines.

    For `shrink`, `keep` is the share of the channels of all groups together.
    """
    options: dict[str, Any] = {"include": request.include}
    if request.calibration is not None:
        options["calibration"] = request.calibration
    if request.method == SHRINK:
        return _saved(onnxdup.shrink(document, keep=request.keep, **options))
    options |= {"method": request.method, "tau": NEAR}
    if request.method in TAU_ONLY:
        options["tau"] = tau_for(document, request.keep, request.include)
    else:
        options["keep"] = request.keep
    return _saved(onnxdup.merge(document, **options))


def _saved(result: onnxdup.Merged | onnxdup.Shrunk) -> onnx.ModelProto:
    with TemporaryDirectory() as folder:
        return onnx.load(result.save(Path(folder) / "reduced.onnx"))


def open_groups(traced: Trace, include: tuple[str, ...]) -> list[ChannelGroup]:
    """The groups that `merge` would cut for these patterns over the names of their layers."""
    return [g for g in traced.groups if g.frozen is None and (not include or _hit(g, include))]


def tau_for(document: Document, keep: float, include: tuple[str, ...]) -> float:
    """The tau at which the paper's components leave the share of all filters that is nearest to `keep`.

    Components of the graph at tau are the clusters of single linkage at tau, so the similarities at which two
    become one, pooled over the groups, give the count at every tau. At least 0.001: below that `merge` ends.
    """
    traced = trace(document)
    groups = open_groups(traced, include)
    joins = [1 - linkage(Problem.of(traced, g).filters, "single", "cosine")[:, 2] for g in groups]
    ordered = np.sort(np.concatenate(joins))[::-1]
    total = sum(g.size for g in groups)
    gone = min(total - round(keep * total), len(ordered) - 1)
    return float(np.clip((ordered[gone - 1] + ordered[gone]) / 2, 0.001, 0.9999))


def _hit(group: ChannelGroup, patterns: tuple[str, ...]) -> bool:
    names = {group.name, *(b.tensor for b in group.producers)}
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
