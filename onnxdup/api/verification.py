"""Running a reduced model beside its original, and what to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnxdup.errors import CannotVerify, InputError
from onnxdup.evaluation import Comparison, compare
from onnxdup.graph import Document, check
from onnxdup.merging import MergePlan
from onnxdup.reduce import Reduction, replay
from onnxdup.reporting.change import Measured, verification_report
from onnxdup.reporting.judge import Limits, demand, exactness, judge, related
from onnxdup.reporting.ledger import derive, exact_rounds, ledger_path, read
from onnxdup.reporting.schema import Check, VerificationReport

EXACT_SAMPLES = 256


@dataclass(frozen=True)
class Runs:
    """On what and how models are run."""

    data: Any = None
    samples: int | None = None
    seed: int = 0
    provider: str = "auto"
    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    exact_ulp: int = 4

    def compare(self, original: Document, reduced: Document | Path, samples: int | None = None) -> Comparison:
        """Both models on the same inputs."""
        return compare(
            original,
            reduced,
            data=self.data,
            provider=self.provider,
            samples=samples or self.samples,
            seed=self.seed,
            input_shapes=self.input_shapes,
            exact_ulp=self.exact_ulp,
        )


def examine(original: Document, reduction: Reduction, written: Path, runs: Runs, limits: Limits) -> Measured:
    """Checks the file `written`, which holds the result of `reduction`, against its original."""
    if not reduction.changed:
        return _unchanged(original, runs, limits)
    found = runs.compare(original, written)
    checks = [*judge(found, limits, exact=reduction.exact), checker(original, written)]
    if not reduction.exact and exact_rounds(reduction.plan):
        checks += _exact_pass(original, reduction.plan, runs, limits)
    return Measured(found, tuple(checks))


def checker(original: Document, written: Path | Document) -> Check:
    """onnx's checker on the reduced model; models that fail it from the start are not held to it."""
    name = "onnx checker"
    try:
        check(written)
    except InputError as error:
        try:
            check(original)
        except InputError:
            return Check(name, "skipped", "the original does not pass it either")
        return Check(name, "failed", str(error))
    return Check(name, "passed", "full check with shape inference")


def _unchanged(original: Document, runs: Runs, limits: Limits) -> Measured:
    same = Check("unchanged", "passed", "nothing to merge, the output is the input byte for byte")
    if runs.data is None:
        return Measured(None, (same,))
    try:
        found = runs.compare(original, original)
    except CannotVerify as error:
        return Measured(None, (same,), (f"not run: {error}",))
    return Measured(found, (same, *judge(found, limits, exact=False)))


def _exact_pass(original: Document, plan: MergePlan, runs: Runs, limits: Limits) -> list[Check]:
    """The exact rounds alone, held to rounding: approximate merging must not hide an error in them."""
    alone = replace(plan, method="exact", tau=1.0, rounds=exact_rounds(plan))
    reduced = replay(original, alone, input_shapes=runs.input_shapes).document
    found = runs.compare(original, reduced, samples=min(runs.samples or EXACT_SAMPLES, EXACT_SAMPLES))
    return [exactness(found, f, limits) for f in found.fidelity]


def verification(
    original: Document, reduced: Document, ledger: Path | None, runs: Runs, limits: Limits
) -> VerificationReport:
    """Document of `verify`."""
    demand(limits, data=runs.data is not None)
    found = runs.compare(original, reduced)
    checks, notes, exact = (
        [checker(original, reduced)],
        [],
        limits.rtol is not None or limits.atol is not None,
    )
    path = ledger or _beside(reduced)
    if path is None:
        notes.append("no ledger: exact merges were not derived again")
    else:
        held = read(path)
        checks.append(derive(original, reduced, held))
        exact = exact or held.complete
    if not exact and limits.max_drop is None and limits.min_agreement is None:
        checks = [*related(found), *checks]
        notes.append("outputs were held to no limit: give --max-drop, --min-agreement or --rtol")
    checks = [*judge(found, limits, exact=exact), *checks]
    return verification_report(original, reduced, found, checks, notes)


def _beside(reduced: Document) -> Path | None:
    path = None if reduced.path is None else ledger_path(reduced.path)
    return path if path is not None and path.is_file() else None
