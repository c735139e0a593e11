"""How much a model's outputs mind each of its groups: one small cut each, measured.

A predicted error is relative to what the readers of a group put out; how much of it reaches the outputs is
another matter (a branch beside a skip connection matters less than the stream that it is added to). Small
errors add up in square, so that the ratio of measured to predicted squared error, found at one small cut, is
a weight for the whole curve.

Made-up inputs tell less than data: on trained networks the logarithms of such ratios correlate with those on
data by 0.6 to 0.7 and spread about as much again, so that half of what they say is believed (their square
root).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from onnxdup.errors import CannotVerify
from onnxdup.evaluation import cost
from onnxdup.evaluation.source import MadeUpSource
from onnxdup.reduce.candidates import Candidates
from onnxdup.reduce.curves import Curve
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.state import State

SAMPLES, MADE_UP = 256, 16
"""Samples that are run for each group: of the data, or made up."""
SMALL_CUT = 0.1
"""Predicted relative squared error of the cut that is measured."""
WIDEST = 1e3
"""Groups matter at most so many times more, or less, than the median."""
LARGE = 3e8
"""Groups times parameters beyond which made-up inputs are not worth the time."""


def worthwhile(candidates: Candidates, meter: Meter) -> bool:
    """Is there more than one group, and are there data, or a model that is cut and run quickly?"""
    if len(candidates.curves) < 2:
        return False
    work = len(candidates.curves) * cost(candidates.job.trace.document).parameters
    return not isinstance(meter.source, MadeUpSource) or work <= LARGE


def weigh(candidates: Candidates, meter: Meter, state: State, say: Callable[[str], None]) -> dict[str, float]:
    """Weights of the curves, which take them: group → ratio. {} where nothing could be measured."""
    made_up = isinstance(meter.source, MadeUpSource)
    try:
        with meter.inventing(MADE_UP) if made_up else nullcontext(meter) as tester:
            found = {
                name: _ratio(candidates, curve, tester, state, say)
                for name, curve in candidates.curves.items()
            }
    except CannotVerify:
        return {}
    weights = tempered(found, 0.5 if made_up else 1.0)
    for name, weight in weights.items():
        curve = candidates.curves[name]
        candidates.curves[name] = replace(curve, error=curve.error * weight)
    return weights


def tempered(ratios: dict[str, float], power: float) -> dict[str, float]:
    """ratio^power, bounded around the median; the median where a ratio is no positive number."""
    known = [r for r in ratios.values() if math.isfinite(r) and r > 0]
    if not known:
        return {}
    middle = float(np.median(known))
    usable = {n: r if math.isfinite(r) and r > 0 else middle for n, r in ratios.items()}
    bounded = {n: min(max(r, middle / WIDEST), middle * WIDEST) for n, r in usable.items()}
    return {n: r**power for n, r in bounded.items()}


def _ratio(
    candidates: Candidates, curve: Curve, meter: Meter, state: State, say: Callable[[str], None]
) -> float:
    """Measured over predicted squared error of one small cut."""
    reached = np.cumsum(curve.error)
    removed = min(max(int(np.searchsorted(reached, SMALL_CUT)) + 1, 1), len(reached))
    counts = {curve.group: curve.size - removed}
    held = state.get({"what": "probe", "counts": counts})
    if held is None:
        say(f"probing {curve.group}")
        held = meter.error(candidates.document(counts), SAMPLES)
        state.put({"what": "probe", "counts": counts}, held)
    predicted = curve.total(removed)
    return float(held) ** 2 / predicted if predicted > 0 else math.nan
