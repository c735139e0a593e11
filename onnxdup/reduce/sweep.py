"""`sweep`: one model reduced by several methods at several settings.

Thresholds and shares are those of `merge`: a share is what every group keeps. The method `shrink` is `obs`
with one share of all channels together, allocated as the command of that name does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnxdup.errors import UsageError
from onnxdup.graph import Document
from onnxdup.merging import METHODS, method_named
from onnxdup.reduce.budget import Budget
from onnxdup.reduce.candidates import WITHOUT_COUNT
from onnxdup.reduce.job import Progress
from onnxdup.reduce.merge import merge
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.reduction import Reduction
from onnxdup.reduce.shrink import How, shrink

GLOBAL = "shrink"
"""The name of the global allocation among the methods of a sweep."""


@dataclass(frozen=True)
class Setting:
    """A method at a threshold or at a share; the other is None."""

    method: str
    tau: float | None = None
    keep: float | None = None

    def as_dict(self) -> dict[str, str | float | None]:
        """JSON form."""
        return {"method": self.method, "tau": self.tau, "keep": self.keep}


def settings(
    methods: Sequence[str], taus: Sequence[float], shares: Sequence[float]
) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """Every method at every setting that it takes, and sentences on those it does not take."""
    found: list[Setting] = []
    notes = []
    for name in dict.fromkeys(methods):
        if name != GLOBAL:
            method_named(name)
        without_share, without_tau = name in WITHOUT_COUNT, name in (GLOBAL, "exact")
        found += [] if without_tau else [Setting(name, tau=t) for t in sorted(set(taus), reverse=True)]
        found += [] if without_share else [Setting(name, keep=k) for k in sorted(set(shares), reverse=True)]
        found += [Setting(name, tau=1.0)] if name == "exact" else []
        if (without_share and shares and name != "exact") or (name == GLOBAL and taus):
            notes.append(
                f"{name} takes {'a threshold, no share' if without_share else 'a share, no threshold'}"
            )
    if not found:
        raise UsageError("nothing to sweep", remedy=f"choose methods of {', '.join((*METHODS, GLOBAL))}")
    return tuple(found), tuple(notes)


@dataclass(frozen=True)
class Sweep:
    """What is swept: a document and the groups that take part; `seed` for methods that draw."""

    document: Document
    meter: Meter
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    input_shapes: Mapping[str, tuple[int, ...]] | None = None
    seed: int = 0
    progress: Progress = field(default=lambda _: None)

    def reduced(self, setting: Setting) -> Reduction:
        """The model at a setting."""
        if setting.method == GLOBAL:
            how = How(include=self.include, exclude=self.exclude, input_shapes=self.input_shapes)
            budget = Budget(keep=setting.keep)
            found = shrink(self.document, budget, self.meter, how, seed=self.seed, progress=self.progress)
            return found.reduction
        return merge(
            self.document,
            setting.tau or 1.0,
            setting.method,
            keep=setting.keep,
            include=self.include,
            exclude=self.exclude,
            input_shapes=self.input_shapes,
            seed=self.seed,
            progress=self.progress,
        )
