"""What a merge comes to: the smaller document, the plan that made it, and what was left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnxdup.channels import Trace
from onnxdup.graph import Document
from onnxdup.merging import Left, MergePlan
from onnxdup.merging.moments.sketch import stored_moments


@dataclass(frozen=True)
class Reduction:
    """A reduced document, the plan that made it, and the traces before and after.

    `declined` are groups that could not be cut, with the reason; `left` proven duplicates that stay,
    numbered as in the last round.
    """

    document: Document
    plan: MergePlan
    before: Trace
    after: Trace
    declined: Mapping[str, str] = field(default_factory=dict)
    left: tuple[Left, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result should know, a sentence each."""
        fixed = fixed_inputs(self.before.document, self.plan.constant_inputs)
        known = self._sketch()
        return (*fixed, *self._copies(), *_remaining(self.left), *self._integers(), *known)

    def _sketch(self) -> tuple[str, ...]:
        known = stored_moments(self.before.document) if self.plan.method != "exact" else {}
        return (f"the moments of {len(known)} values that the model stores were used",) if known else ()

    def _copies(self) -> tuple[str, ...]:
        nodes = [node for readers in self.plan.clones for node, _ in readers]
        return (f"shared weights were copied for {few(nodes)}: merging saves more",) if nodes else ()

    def _integers(self) -> tuple[str, ...]:
        count = sum(g.quantised and g.frozen is None for g in self.before.groups)
        if self.plan.method == "exact" or not count:
            return ()
        return (f"{count} quantised channel groups: only exact duplicates were merged",)

    @property
    def changed(self) -> bool:
        """Was anything merged?"""
        return bool(self.plan.merges)

    @property
    def exact(self) -> bool:
        """Is every merge proven?"""
        return all(m.entries and not m.combine for m in self.plan.merges)

    @property
    def removed(self) -> int:
        """Channels that went."""
        return sum(m.size - len(m.keep) for m in self.plan.merges)


def fixed_inputs(document: Document, fixed: bool) -> tuple[str, ...]:
    """The sentence that says which weights callers can no longer override."""
    names = sorted(document.overridable) if fixed else []
    if not names:
        return ()
    noun = "initializer" if len(names) == 1 else "initializers"
    return (f"--constant-inputs: callers cannot replace {len(names)} {noun} any more ({few(names)})",)


def few(names: Sequence[str]) -> str:
    """The first three names, and whether there are more."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _remaining(left: Sequence[Left]) -> tuple[str, ...]:
    found: dict[tuple[str, str], set[int]] = {}
    for pair in left:
        found.setdefault((pair.group, pair.reason), set()).add(pair.dropped)
    counts = {key: len(channels) for key, channels in found.items()}
    return tuple(
        f"{group}: {count} proven duplicate{'s' if count > 1 else ''} left, {reason}"
        for (group, reason), count in counts.items()
    )
