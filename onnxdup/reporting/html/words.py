"""What the numbers of a report come to, in sentences."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from onnxdup.reporting.portrait import Portrait
from onnxdup.reporting.schema import AtTau, Change, MergeReport, ModelReport, PlanSummary, Totals
from onnxdup.reporting.search_view import budget
from onnxdup.reporting.view import count, percent, saved, size

FEW = 0.01
"""Below this share of removable filters there is hardly anything to merge."""
GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "filter",
        "A row of a fully connected layer's weight, or an output channel of a convolution with all its "
        "weights; the bias is not part of it.",
    ),
    ("similarity", "The cosine of two filters that read the same inputs; their lengths do not matter."),
    (
        "tau, #CC",
        "Filters with a cosine of at least tau are joined; #CC is the number of connected components of that "
        "graph (tau = 1 is read as 1 − 10⁻⁶, since stored weights are rounded).",
    ),
    (
        "1 − eta",
        "The concentration of duplicates: eta = #CC / #filters. 0 % means that no filter resembles another.",
    ),
    (
        "cluster",
        "Filters of which every pair reaches tau, not just a chain of them. This is what merge takes as one.",
    ),
    (
        "group",
        "Channels that only go together: the rows that make them, what they pass, the columns that read "
        "them. A frozen group stays as it is, for the reason given.",
    ),
    (
        "merge removes",
        "Filters that merge would take away: exact relations first; below tau = 1 also clusters of rows with "
        "their biases and normalisation, so the number can differ from 1 − eta.",
    ),
    (
        "dead, constant",
        "A dead filter has only zeros; a constant one gives the same value for every input of the model.",
    ),
    (
        "kurtosis",
        "Fourth standardised moment of all pair cosines: 3 for a normal distribution, more with long tails.",
    ),
    (
        "99 % of energy, trace complexity",
        "How many singular values hold 99 % of the sum of squares; and the sum of the singular values over "
        "√(n·m). Low numbers mean a weight of low rank.",
    ),
)


@dataclass(frozen=True)
class Verdict:
    """The answer in a few words, in a sentence, and the command to go on with."""

    headline: str
    sentence: str
    command: str


def verdict(portrait: Portrait) -> Verdict:
    """What can be merged, exactly and nearly; of a merge, what it did."""
    if portrait.merged is not None:
        return _of_merge(portrait.merged)
    if portrait.searched is not None:
        asked, said = budget(portrait.searched.budget), "; ".join(portrait.searched.notes)
        return Verdict(
            "No model is within the budget", f"Asked for: {asked}. Nothing was written: {said}.", ""
        )
    report, total = portrait.report, portrait.report.totals
    if not report.layers:
        return Verdict("Nothing to merge", "The model has no layer with constant weights.", "")
    exact, near = at(total, 1.0), at(total, portrait.tau)
    name = shlex.quote(report.model.path or "model.onnx")
    if exact is not None and exact.removable:
        return Verdict(
            f"{count(exact.removable)} of {count(exact.filters)} filters are redundant",
            f"Merging them is exact: the model computes what it computed before. {_nearly(exact, near)}",
            f"onnxdup merge {name} -o small.onnx",
        )
    if near is not None and near.removable:
        found = f"{count(near.removable)} of {count(near.filters)} filters"
        few = near.removable < FEW * near.filters
        return Verdict(
            f"Hardly any duplicates: {found}" if few else f"{found} are near-duplicates",
            f"{_no_exact(exact)}At tau {near.tau:g}, merge would remove "
            f"{percent(near.removable / near.filters)} of the filters. That changes the outputs a little: "
            "give merge data, and it measures how much before anything is written.",
            f"onnxdup merge {name} --tau {near.tau:g} --data DATA.npz -o small.onnx",
        )
    return _without(report, near, name)


def _without(report: ModelReport, near: AtTau | None, name: str) -> Verdict:
    lower = next((t for t in report.totals.taus if t.removable), None)
    frozen = report.totals.frozen_groups
    held = (
        f"{frozen} of {report.totals.groups} channel groups {be(frozen)} frozen, for the reasons below. "
        if frozen
        else ""
    )
    if lower is not None:
        return Verdict(
            "Hardly any duplicates",
            f"The first filters that merge would remove appear at tau {lower.tau:g}: "
            f"{count(lower.removable)} of {count(lower.filters)}. {held}",
            f"onnxdup merge {name} --tau {lower.tau:g} --data DATA.npz -o small.onnx",
        )
    if near is not None and near.components < near.filters:
        alike = near.filters - near.components
        return Verdict(
            "Duplicates that cannot be merged",
            f"At tau {near.tau:g}, {count(alike)} of {count(near.filters)} filters resemble another, but "
            f"merge would remove none: {held or 'their biases or what follows them differ.'}",
            "",
        )
    taus = [t.tau for t in report.totals.taus]
    down = f" down to tau {min(taus):g}" if taus else ""
    return Verdict("No duplicates", f"No two filters of a layer are alike{down}. {held}", "")


def _of_merge(report: MergeReport) -> Verdict:
    change = report.filters
    gone = change.before - change.after
    if not gone:
        sentence = f"Nothing to merge at tau {report.plan.tau:g}: the output equals the input."
        return Verdict("Nothing was merged", sentence, "")
    failed = "Verification failed: nothing was written"
    state = {"passed": "Verification passed", "failed": failed}
    verified = state.get(report.status, f"Verification {report.status}")
    return Verdict(
        f"{count(change.before)} filters became {count(change.after)}",
        f"Removed {_removed(report.plan)}. "
        f"Parameters {fewer(report.parameters)}, file {_sizes(report.bytes)}. {verified}."
        f"{_accuracy(report)}",
        "",
    )


def _removed(plan: PlanSummary) -> str:
    """By exact relations, by likeness down to tau, or (with a budget in its place) by a method."""
    kinds = [f"{count(plan.exact)} channels by exact relations"] if plan.exact else []
    if plan.approximate and plan.tau == 1:
        return " and ".join([*kinds, f"{count(plan.approximate)} channels by {plan.method}"])
    if plan.approximate:
        kinds.append(f"{count(plan.approximate)} near-duplicate channels")
    return f"{' and '.join(kinds)} at tau {plan.tau:g}"


def fewer(change: Change) -> str:
    """33,738 → 20,110 (−40.4 %)."""
    return f"{count(change.before)} → {count(change.after)} (−{saved(change)})"


def _sizes(change: Change) -> str:
    return f"{size(change.before)} → {size(change.after)} (−{saved(change)})"


def _accuracy(report: MergeReport) -> str:
    before, after = report.accuracy_before, report.accuracy_after
    if before is None or after is None:
        return " Accuracy was not checked: there were no labelled data."
    return (
        f" Accuracy {percent(before.top1, 2)} → {percent(after.top1, 2)} on {count(before.samples)} samples."
    )


def _nearly(exact: AtTau, near: AtTau | None) -> str:
    if near is None or near.removable <= exact.removable:
        return ""
    more = near.removable - exact.removable
    change = "with small changes of the outputs"
    return f"At tau {near.tau:g}, {count(more)} near-duplicates could go as well, {change}."


def _no_exact(exact: AtTau | None) -> str:
    return "" if exact is None else "None of them can be merged exactly. "


def be(number: int) -> str:
    """is or are."""
    return "is" if number == 1 else "are"


def at(totals: Totals, tau: float) -> AtTau | None:
    """The totals at one threshold."""
    return next((t for t in totals.taus if t.tau == tau), None)
