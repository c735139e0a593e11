"""The methods of this project, through its public interface."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

import onnxdup
from onnxdup.channels import ChannelGroup, Trace
from onnxdup.graph import Document
from onnxdup.merging import METHODS

SHRINK = "shrink"
EXTRA = ("cluster+least-squares", "norm+least-squares", "random+least-squares")
"""Selections of the table with another compensation: SELECTION+COMPENSATION."""
DATA_AWARE = frozenset({"obs", "refine", "ward", "dpp", SHRINK, *EXTRA})
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
    """The approximate methods of the table, in its order, more compensations, and `shrink`, which allocates
    over the groups.
    """
    extra = EXTRA if "compensation" in inspect.signature(onnxdup.merge).parameters else ()
    return [*(name for name, method in METHODS.items() if method.selection is not None), *extra, SHRINK]


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
    method, _, compensation = request.method.partition("+")
    options |= {"compensation": compensation} if compensation else {}
    return _saved(onnxdup.merge(document, method=method, tau=NEAR, keep=request.keep, **options))


def _saved(result: onnxdup.Merged | onnxdup.Shrunk) -> onnx.ModelProto:
    with TemporaryDirectory() as folder:
        return onnx.load(result.save(Path(folder) / "reduced.onnx"))


def open_groups(traced: Trace, include: tuple[str, ...]) -> list[ChannelGroup]:
    """The groups that `merge` would cut for these patterns over the names of their layers."""
    return [g for g in traced.groups if g.frozen is None and (not include or _hit(g, include))]


def _hit(group: ChannelGroup, patterns: tuple[str, ...]) -> bool:
    names = {group.name, *(b.tensor for b in group.producers)}
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
