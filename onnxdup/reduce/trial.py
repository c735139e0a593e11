"""Means of filters on calibration data: the cut is made on trial, and what its readers see is measured.

What a mean of filters gives is in no model yet, so that no data could tell its moments beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from scipy.sparse import csr_array

from onnxdup.channels import Trace
from onnxdup.merging import Merge, Problem, Tally, Trial, mixed, mixing
from onnxdup.merging.plan import Array, Index
from onnxdup.reduce.calibrating import values_of

if TYPE_CHECKING:
    from onnxdup.evaluation.data import Dataset

Cut = Callable[[Merge], Trace | None]
"""The model after one merge, None where that cannot be done alone."""


def on_trial(data: Dataset, now: Trace, original: Trace | None, cut: Cut, provider: str = "cpu") -> Trial:
    """For groups of `now`: their channels mixed by `cut`, beside those of the original (None: of `now`)."""
    before = (original or now).document

    def tried(
        problem: Problem, mix: csr_array, keep: Index, offset: Array | None, tallies: Sequence[Tally]
    ) -> list[Tally] | None:
        merge = mixing(problem, mix, keep, offset)
        made = None if merge is None else cut(merge)
        group = None if made is None else next((g for g in made.groups if g.name == problem.group.name), None)
        if made is None or group is None or (found := mixed(tallies, made, group)) is None:
            return None
        here = sorted({t.view.sink.input for t in found})
        there = sorted({t.then.sink.input for t in found if t.then is not None})
        for number, pair in enumerate(values_of(made.document, here, before, there, data, provider)):
            for tally in found:
                tally.add(*pair, number)
        return found

    return tried
