"""From budgets and facts to a verdict: pure functions, one per budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from onnxdup.errors import CannotVerify
from onnxdup.gate.budgets import Budgets
from onnxdup.gate.drop import Drop, drop_of
from onnxdup.gate.schema import Facts
from onnxdup.reporting.schema import AtTau, Check
from onnxdup.reporting.view import count, size

Result = Literal["passed", "failed", "inconclusive"]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """One check per budget, and what they come to: failed if any failed, else inconclusive if any was."""

    status: Result
    checks: tuple[Check, ...]


def judge(budgets: Budgets, facts: Facts) -> Verdict:
    """Holds a model to its budgets. Raises `CannotVerify` where the facts do not say what one is about."""
    judges: tuple[tuple[float | None, Callable[[Budgets, Facts], Check]], ...] = (
        (budgets.max_duplicates, _duplicates),
        (budgets.max_removable, _removable),
        (budgets.max_bytes, _bytes),
        (budgets.max_macs, _macs),
        (budgets.max_parameters, _parameters),
        (budgets.max_drop, _drop),
        (budgets.min_agreement, _agreement),
        (budgets.max_latency_ratio, _latency),
    )
    checks = tuple(check(budgets, facts) for limit, check in judges if limit is not None)
    return Verdict(overall(checks), checks)


def overall(checks: tuple[Check, ...]) -> Result:
    """Failed if any check failed, else inconclusive if any was, else passed."""
    found = {c.status for c in checks}
    return "failed" if "failed" in found else "inconclusive" if "inconclusive" in found else "passed"


def _lacks(facts: Facts, what: str, remedy: str) -> CannotVerify:
    return CannotVerify(what, file=facts.model.path, remedy=remedy)


def _at(budgets: Budgets, facts: Facts) -> AtTau:
    for found in facts.taus:
        if abs(found.tau - budgets.tau) < _ROUNDING:
            return found
    known = ", ".join(f"{t.tau:g}" for t in facts.taus) or "none"
    raise _lacks(facts, f"no duplicates at tau {budgets.tau:g}", f"the report has tau {known}")


def _duplicates(budgets: Budgets, facts: Facts) -> Check:
    at, limit = _at(budgets, facts), budgets.max_duplicates or 0.0
    share = 100 * at.duplicate_share
    words = f"{at.filters - at.components} of {count(at.filters)} filters duplicate others at tau {at.tau:g}"
    return _at_most("duplicates", share, limit, f"{words}: {share:.2f} %, {limit:g} % allowed")


def _removable(budgets: Budgets, facts: Facts) -> Check:
    at, limit = _at(budgets, facts), budgets.max_removable or 0.0
    share = 100 * at.removable / at.filters if at.filters else 0.0
    words = f"merge --tau {at.tau:g} would remove {at.removable} of {count(at.filters)} filters"
    return _at_most("removable", share, limit, f"{words}: {share:.2f} %, {limit:g} % allowed")


def _bytes(budgets: Budgets, facts: Facts) -> Check:
    value, limit = facts.model.bytes, budgets.max_bytes or 0
    return _at_most("bytes", value, limit, f"{size(value)}, {size(limit)} allowed")


def _macs(budgets: Budgets, facts: Facts) -> Check:
    if facts.macs is None:
        raise _lacks(facts, "the multiply-accumulates are not known", "give --input-shape, or a full report")
    return _amount("MACs", facts.macs, budgets.max_macs or 0)


def _parameters(budgets: Budgets, facts: Facts) -> Check:
    if facts.parameters is None:
        raise _lacks(facts, "the report does not say how many parameters there are", "check the model itself")
    return _amount("parameters", facts.parameters, budgets.max_parameters or 0)


def _amount(name: str, value: int, limit: int) -> Check:
    return _at_most(name, value, limit, f"{count(value)}, {count(limit)} allowed")


def _drop(budgets: Budgets, facts: Facts) -> Check:
    limit, drop = budgets.max_drop or 0.0, drop_of(budgets, facts)
    status = _non_inferior(drop, limit)
    level = f"{100 * budgets.confidence:g} %"
    said = {
        "passed": f"at most {drop.high:.2f} shown at {level}, {limit:g} allowed",
        "failed": f"at least {drop.low:.2f} shown at {level}, {limit:g} allowed",
        "inconclusive": f"{drop.low:.2f} to {drop.high:.2f} possible at {level}, {limit:g} allowed; "
        f"{count(drop.samples)} samples cannot decide",
    }[status]
    words = f"accuracy falls by {drop.value:.2f} points {drop.against}: {said}"
    return Check("accuracy drop", status, words, drop.value, limit)


def _non_inferior(drop: Drop, limit: float) -> Result:
    """Passed where the drop is shown to be within the limit, failed where it is shown to be beyond it."""
    if drop.high <= limit + _ROUNDING:
        return "passed"
    return "failed" if drop.low > limit else "inconclusive"


def _agreement(budgets: Budgets, facts: Facts) -> Check:
    found, limit = facts.base.agreement if facts.base else None, budgets.min_agreement or 0.0
    if found is None:
        raise _lacks(facts, "agreement was not measured", "give --base MODEL with class scores as output")
    share = 100 * found
    words = f"{share:.2f} % of answers agree, {limit:g} % demanded"
    return Check("agreement", "passed" if share >= limit - _ROUNDING else "failed", words, share, limit)


def _latency(budgets: Budgets, facts: Facts) -> Check:
    base, limit = facts.base.latency if facts.base else None, budgets.max_latency_ratio or 0.0
    if base is None or facts.latency is None or not base.median_ms:
        raise _lacks(facts, "latency was not measured beside a base", "give --base MODEL")
    ratio = facts.latency.median_ms / base.median_ms
    words = (
        f"{ratio:.3f} times the base's time ({facts.latency.median_ms:.3g} against {base.median_ms:.3g} ms, "
        f"batch {base.batch}), {limit:g} allowed"
    )
    return _at_most("latency ratio", ratio, limit, words)


def _at_most(name: str, value: float, limit: float, words: str) -> Check:
    good = value <= limit + _ROUNDING * max(1.0, abs(limit))
    return Check(name, "passed" if good else "failed", words, value, limit)
