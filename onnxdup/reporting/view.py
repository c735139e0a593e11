"""A document as tables and lines, before any format: the text and Markdown writers render the same view."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from onnxdup.reporting.schema import Accuracy, Change, Check, Inputs, ModelIdentity, Obstacle

Tone = Literal["plain", "title", "quiet", "good", "bad"]
_NUMBERED = re.compile(r"onnx::|val_|_val_|/|const|\d+$|p2o\.|.*Constant_\d+", re.IGNORECASE)
_TONES: dict[str, Tone] = {"passed": "good", "failed": "bad", "inconclusive": "bad", "skipped": "quiet"}


@dataclass(frozen=True)
class Column:
    """A table column; `optional` ones are left out first where the terminal is narrow."""

    title: str
    right: bool = True
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; the rows of `totals` stand below a rule."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    totals: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Line:
    """One sentence with a tone."""

    text: str
    tone: Tone = "plain"


Block = Table | Line
View = tuple[Block, ...]


def count(value: int) -> str:
    """1234567 → "1,234,567"."""
    return f"{value:,}"


def size(nbytes: int) -> str:
    """Bytes with a decimal unit: 312456 → "312.5 kB"."""
    value, units = float(nbytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def percent(share: float, digits: int = 1) -> str:
    """0.1234 → "12.3 %"; unknown → "-"."""
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def number(value: float) -> str:
    """Three significant digits; unknown → "-"."""
    return "-" if math.isnan(value) else f"{value:.3g}"


def saved(change: Change) -> str:
    """What a change saved, in percent of before; growth shows as a negative saving."""
    return percent(1 - change.after / change.before) if change.before else "-"


def accuracy(value: Accuracy) -> str:
    """Top-1 with its confidence interval."""
    low, high = value.top1_interval.low, value.top1_interval.high
    level = f"{100 * value.top1_interval.confidence:g} %"
    return f"{percent(value.top1, 2)} ({level} interval {100 * low:.2f} to {100 * high:.2f})"


def identity(model: ModelIdentity) -> Line:
    """Path, size, opset, producer and hash of a model."""
    opset = model.opsets.get("") or model.opsets.get("ai.onnx")
    facts = [
        size(model.bytes),
        f"opset {opset}" if opset else "",
        model.producer,
        f"sha256 {model.sha256[:12]}",
    ]
    return Line(f"{model.path or '(in memory)'}: {', '.join(f for f in facts if f)}", "title")


def inputs(value: Inputs) -> str:
    """What the models were run on, in words."""
    seed = "" if value.seed is None else f", seed {value.seed}"
    return f"{count(value.samples)} samples, {value.source}{seed}"


def check(value: Check) -> Line:
    """One verification with its verdict."""
    return Line(f"{value.status}: {value.name}: {value.detail}", _TONES[value.status])


def layer_name(node: str, tensor: str) -> str:
    """The name that says more: that of the weight, unless an exporter numbered it."""
    return node if _NUMBERED.match(tensor) else tensor


def why_not_more(obstacles: tuple[Obstacle, ...]) -> Line:
    """The reasons that freeze channel groups, with counts, largest first."""
    if not obstacles:
        return Line("Why not more: no channel group is frozen.", "quiet")
    return Line(f"Why not more: {'; '.join(map(_obstacle, obstacles))}.", "quiet")


def _obstacle(value: Obstacle) -> str:
    groups = f"{value.groups} group{'s' if value.groups != 1 else ''}"
    return f"{value.reason} ({count(value.filters)} filters in {groups}, e.g. {value.node})"
