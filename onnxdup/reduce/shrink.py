"""`shrink`: the smallest model within a budget.

The exact pass comes first. Then one path through all groups orders every further step by predicted error per
saved cost (`allocate`), and the only question left is how far to go along it: to the first position that
reaches the targets, or, where there are limits alone, to the last one that keeps them (`search`). Predictions
decide nothing but the order; every answer is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from onnxdup.channels.relation import EXACT_ULP
from onnxdup.evaluation.data import Dataset
from onnxdup.graph import Document, blamed
from onnxdup.merging import MergePlan, method_named
from onnxdup.reduce.allocate import Path, greedy, uniform
from onnxdup.reduce.budget import Budget
from onnxdup.reduce.candidates import Candidates
from onnxdup.reduce.job import Job, Progress, Shape
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.probing import weigh, worthwhile
from onnxdup.reduce.reduction import Reduction, few
from onnxdup.reduce.search import Search, Trial
from onnxdup.reduce.sequence import in_sequence
from onnxdup.reduce.state import State


@dataclass(frozen=True)
class How:
    """How groups are narrowed. `round_to`: counts that are left are multiples of it, or nothing is cut.

    `probe`: how much the outputs mind each group is measured first (None: where that is worthwhile).
    """

    method: str = "refine"
    round_to: int = 1
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    input_shapes: Mapping[str, Shape] | None = None
    ulps: float = EXACT_ULP
    constant_inputs: bool = False
    probe: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "include": list(self.include), "exclude": list(self.exclude)}


@dataclass(frozen=True)
class Shrinkage:
    """The chosen reduction and how it was found.

    `path` is the order of all steps, `trials` what was tried of it, by position; `resumed` results came from
    an earlier run; `notes` say what limited the search; `weights` how much the outputs mind each group, {}
    where that was not measured.
    """

    reduction: Reduction
    chosen: Trial
    path: Path
    trials: tuple[Trial, ...]
    resumed: int = 0
    notes: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


def shrink(
    document: Document,
    budget: Budget,
    meter: Meter,
    how: How | None = None,
    state: State | None = None,
    *,
    extra_bytes: int = 0,
    calibration: Dataset | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Shrinkage:
    """The least reduction that reaches the targets of `budget`, or the largest that keeps its limits.

    `meter` measures on data, `state` remembers what was measured; `extra_bytes` are what writing adds to a
    model (its stamp). On `calibration` data the layers are measured first, and once the widths are chosen cut
    one after the other, measured in the model as it is by then, where that is better. Raises OutOfReach where
    no candidate is within the budget, UsageError for a bad method or pattern.
    """
    how, state, say = how or How(), state or State({}), progress or (lambda _: None)
    start = document.with_constant_inputs() if how.constant_inputs else document
    with blamed(document):
        job = Job(start, how.include, how.exclude, how.input_shapes, None, say)
        job.exactly(how.ulps, how.round_to)
        candidates = Candidates(job, method_named(how.method), say, calibration, seed)
        probe = worthwhile(candidates, meter) if how.probe is None else how.probe
        weights = weigh(candidates, meter, state, say) if probe else {}
        path = _path(candidates, budget, how.round_to)
        search = Search(budget, candidates, path, meter, state, say, extra_bytes)
        chosen = search.chosen()
        notes = tuple(_notes(search))
        better = None if calibration is None else in_sequence(search, chosen, calibration, seed)
        if better is None:
            job.applied(candidates.merges(chosen.counts))
        else:
            chosen = search.trials[chosen.position] = better
    plan = MergePlan(document.sha256(), how.method, 1.0, tuple(job.rounds), start is not document)
    return Shrinkage(job.reduction(document, plan), chosen, path, search.tried, state.resumed, notes, weights)


def _path(candidates: Candidates, budget: Budget, round_to: int) -> Path:
    sizes = candidates.costs(budget.unit)
    if not candidates.curves:
        return uniform(candidates.sizes, sizes, round_to)
    return greedy(list(candidates.curves.values()), sizes, round_to)


def _notes(search: Search) -> list[str]:
    found, candidates = [], search.candidates
    if not search.shows_anything():
        before = search.meter.before
        found.append(
            f"{before.samples if before else 0} samples cannot show a drop of at most "
            f"{search.budget.max_drop:g} points at {100 * search.budget.confidence:g} %, so that only exact "
            "merges were made: give more data, or allow more"
        )
    elif search.budget.max_drop is not None and not search.budget.targets:
        found.append(
            f"the data chose this model among {len(search.trials)}, so that what they say of it is "
            "flattering: --holdout measures it on others"
        )
    without = [n for n in candidates.groups if n not in candidates.curves]
    if candidates.curves and without:
        found.append(f"left as they are, because no error is predicted for them: {few(without)}")
    if not candidates.curves:
        found.append(f"{candidates.method.name} predicts no errors: all groups keep the same share")
    return found
