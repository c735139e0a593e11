"""How far to go along a path: bisection over measured candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from onnxdup.errors import CannotVerify, GateFailed
from onnxdup.evaluation import Interval, Paired, cost
from onnxdup.graph import Document
from onnxdup.merging import cuttable
from onnxdup.reduce.allocate import Path
from onnxdup.reduce.budget import Budget, Measures
from onnxdup.reduce.candidates import Candidates
from onnxdup.reduce.job import Progress
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.sizes import whole_cost
from onnxdup.reduce.state import State

FINEST, FINEST_TIMED = 512, 64
"""A search for quality, or for time, stops when its ends are this fraction of the path apart."""


@dataclass(frozen=True)
class Trial:
    """One candidate: its position on the path, channels left in each group, what was measured.

    `enough` says that it reaches the targets, `good` that it keeps the limits; None: not asked.
    """

    position: int
    counts: Mapping[str, int]
    measures: Measures
    enough: bool | None = None
    good: bool | None = None


class OutOfReach(GateFailed):
    """No candidate is within the budget; `trials` were measured on a path of `steps`."""

    def __init__(self, what: str, trials: tuple[Trial, ...], steps: int, remedy: str) -> None:
        super().__init__(what, remedy=remedy)
        self.trials, self.steps = trials, steps


class Search:
    """Candidates of one path under one budget. `extra_bytes` are what writing adds to a model."""

    def __init__(
        self,
        budget: Budget,
        candidates: Candidates,
        path: Path,
        meter: Meter,
        state: State,
        say: Progress,
        extra_bytes: int = 0,
    ) -> None:
        self.budget, self.candidates, self.path = budget, candidates, path
        self.meter, self.state, self.say, self.extra_bytes = meter, state, say, extra_bytes
        self.trials: dict[int, Trial] = {}
        job = candidates.job
        self._first = {g.name: g.size for g in job.first.groups if cuttable(g) and job.wanted(g)}
        self._present = {g.name: g.size for g in job.trace.groups}
        self._built: tuple[int, Document] | None = None

    def chosen(self) -> Trial:
        """The trial that the budget asks for. Raises OutOfReach where there is none."""
        if not self.budget.targets:
            return self._last_good()
        trial = self._confirmed(self._first_enough())
        if self.budget.limits and not self._is_good(trial.position):
            raise self._unreachable(
                f"what comes down to {named(self.budget.targets)} does not keep "
                f"{named(self.budget.limits)}: {said(self.trials[trial.position])}",
                "allow more loss, or a larger model",
            )
        return self.trials[trial.position]

    def shows_anything(self) -> bool:
        """Could this many samples show a drop within the limit if no answer changed for the worse?"""
        limit, before = self.budget.max_drop, self.meter.before
        if limit is None or before is None:
            return True
        none = Paired(before.samples, 0, 0, 1.0, 0.0, Interval(-1.0, 1.0, self.budget.confidence))
        return 100 * none.drop_bounds(self.budget.confidence).high <= limit

    def _first_enough(self) -> Trial:
        if self._is_enough(0):
            return self.trials[0]
        low, high = 0, len(self.path) + 1
        finest = max(1, len(self.path) // FINEST_TIMED) if self.budget.latency_ms is not None else 1
        at, stride = self._guess(), 1
        while high - low > finest and high > 1:
            at = at if low < at < high else (low + high) // 2
            if self._is_enough(at):
                high, at = at, at - stride
            else:
                low, at = at, at + stride
            stride *= 2
        if high > len(self.path):
            raise self._out_of_reach(low)
        return self.trials[high]

    def _confirmed(self, trial: Trial) -> Trial:
        """The first position from here on whose very model reaches the targets: compensation may have added
        biases that its outline lacks.
        """
        position = trial.position
        while position <= len(self.path):
            if not self._weighed(position).measures.missed(self.budget):
                return self.trials[position]
            position = self._further(position)
        raise self._out_of_reach(max(self.trials))

    def _further(self, position: int) -> int:
        """The next position to try, as far on as the first target is missed by."""
        target, limit = next(iter(self.budget.targets.items()))
        value = getattr(self.trials[position].measures, target)
        if target == "latency_ms" or value is None:
            return position + 1 + len(self.path) // FINEST_TIMED
        saved = np.cumsum([step.saved for step in self.path.steps])
        wanted = (value - limit) * self._scale(target, value) + (saved[position - 1] if position else 0.0)
        return max(position + 1, int(np.searchsorted(saved, wanted - 1e-6)) + 1)

    def _weighed(self, position: int) -> Trial:
        question = f"model {self._sized}"
        found = self._answer(position, question, lambda: self.sizes(position, self._document(position)))
        measures = _joined(self._known(position).measures, found)
        self._keep(replace(self._known(position), measures=measures, enough=self._reached(found)))
        return self.trials[position]

    def _unreachable(self, what: str, remedy: str) -> OutOfReach:
        return OutOfReach(what, self.tried, len(self.path), remedy)

    @property
    def tried(self) -> tuple[Trial, ...]:
        """Everything measured, by position."""
        return tuple(self.trials[p] for p in sorted(self.trials))

    def _out_of_reach(self, position: int) -> OutOfReach:
        return self._unreachable(
            f"{named(self.budget.targets)} is out of reach: {named(self._missed(self.trials[position]))} "
            "at the narrowest",
            "allow more, or include more layers (`onnxdup report` says what is frozen)",
        )

    def _missed(self, trial: Trial) -> dict[str, float]:
        return {name: value for name, (value, _) in trial.measures.missed(self.budget).items()}

    def _last_good(self) -> Trial:
        self._is_good(0)
        low, high = 0, len(self.path) + 1
        if not self.shows_anything():
            high = 1
        finest = max(1, high // FINEST)
        while high - low > finest:
            at = (low + high) // 2
            if self._is_good(at):
                low = at
            else:
                high = at
        return self.trials[low]

    def _guess(self) -> int:
        """Where the model of sizes expects the first target to be reached."""
        target, limit = next(iter(self.budget.targets.items()))
        whole = getattr(self.trials[0].measures, target)
        if target == "latency_ms" or whole is None:
            return len(self.path)
        wanted = (whole - limit) * self._scale(target, whole)
        saved = np.cumsum([step.saved for step in self.path.steps])
        return min(int(np.searchsorted(saved, wanted - 1e-6)) + 1, len(self.path))

    def _scale(self, target: str, whole: float) -> float:
        """From the unit of a target to that of the steps: channels for shares, all samples for one."""
        if target == "keep":
            return sum(self._first.values())
        if target != "macs":
            return 1.0
        return (whole_cost(self.candidates.job.trace).macs or whole) / max(whole, 1)

    def _reached(self, found: Measures) -> bool | None:
        return not found.missed(self.budget) if self.budget.targets else None

    def _is_enough(self, position: int) -> bool:
        trial = self._known(position)
        found = self._size_of(position)
        enough = not found.missed(self.budget)
        self._keep(replace(trial, measures=_joined(trial.measures, found), enough=enough))
        return enough

    def _is_good(self, position: int) -> bool:
        """Exact merges alone are good by proof; they are verified before anything is written."""
        measures = self._weighed(position).measures
        found = self._answer(position, "quality", lambda: self._quality(position))
        good = position == 0 or found.good(self.budget)
        self._keep(replace(self.trials[position], measures=_joined(measures, found), good=good))
        return good

    @property
    def _sized(self) -> str:
        return " ".join(("size", *(n for n in ("macs", "latency_ms") if n in self.budget.targets)))

    def _size_of(self, position: int) -> Measures:
        """Of an outline, where nothing else is asked about this candidate."""
        return self._answer(position, self._sized, lambda: self.sizes(position, self._outline(position)))

    def _known(self, position: int) -> Trial:
        return self.trials.get(position) or Trial(position, self.path.counts(position), Measures())

    def _keep(self, trial: Trial) -> None:
        self.trials[trial.position] = trial
        self.say(f"{trial.position} of {len(self.path)} steps: {said(trial)}")

    def _answer(self, position: int, what: str, measure: Callable[[], Measures]) -> Measures:
        """From the state of an earlier run, or measured now."""
        question = {"what": what, "counts": self.path.counts(position)}
        held = self.state.get(question)
        if held is not None:
            return Measures(**held)
        found = measure()
        self.state.put(question, asdict(found))
        return found

    def _document(self, position: int) -> Document:
        if self._built is None or self._built[0] != position:
            self.say(f"building {position} of {len(self.path)} steps")
            self._built = (position, self.candidates.document(self.path.counts(position)))
        return self._built[1]

    def _outline(self, position: int) -> Document:
        self.say(f"outline of {position} of {len(self.path)} steps")
        return self.candidates.outline(self.path.counts(position))

    def sizes(self, position: int, document: Document) -> Measures:
        """How large a model with the counts of a position is, in the words of the targets."""
        macs = self.meter.macs(document) if self.budget.macs is not None else None
        if self.budget.macs is not None and macs is None:
            raise CannotVerify("the multiply-accumulates are not known", remedy="give --input-shape")
        return Measures(
            keep=self._share(position),
            parameters=cost(document).parameters,
            macs=macs,
            bytes=document.nbytes + self.extra_bytes,
            latency_ms=self.meter.latency(document) if self.budget.latency_ms is not None else None,
        )

    def _share(self, position: int) -> float:
        """Channels left of those that could be cut at first."""
        counts = {**self._present, **self.path.counts(position)}
        before = sum(self._first.values())
        return sum(counts.get(name, 0) for name in self._first) / before if before else 1.0

    def _quality(self, position: int) -> Measures:
        document = self._document(position)
        self.say(f"running {position} of {len(self.path)} steps")
        return self.measured(document)

    def measured(self, document: Document) -> Measures:
        """How good a model is, in the words of the limits."""
        found = self.meter.quality(document, self.budget.confidence)
        agreement = None if found.agreement is None else 100 * found.agreement
        pair, level = found.paired, self.budget.confidence
        return Measures(
            drop=None if pair is None else 100 * pair.drop,
            drop_bound=None if pair is None else 100 * pair.drop_bounds(level).high,
            error=found.error,
            agreement=agreement,
            finite=found.finite,
        )


def _joined(first: Measures, second: Measures) -> Measures:
    """Both, the second where it knows something."""
    known = {f.name: v for f in fields(second) if (v := getattr(second, f.name)) is not None}
    return replace(first, **known)


def named(values: Mapping[str, float]) -> str:
    """{"parameters": 5000} → "parameters 5000"."""
    return ", ".join(f"{n.replace('_', '-')} {v:.6g}" for n, v in values.items())


def said(trial: Trial) -> str:
    """What a trial measured, in words."""
    held = {n: v for n, v in asdict(trial.measures).items() if v is not None and n != "finite"}
    verdict = {True: "yes", False: "no", None: ""}[trial.enough if trial.good is None else trial.good]
    return f"{named(held)} {verdict}".strip()
