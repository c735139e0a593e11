"""The job behind `sweep`: reduce, measure, next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxdup.api.subject import subject
from onnxdup.api.verification import Runs
from onnxdup.channels import trace
from onnxdup.graph import Document
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.reduction import Reduction
from onnxdup.reduce.state import State
from onnxdup.reduce.sweep import Setting, Sweep, settings
from onnxdup.reporting import search_build
from onnxdup.reporting.codec import from_dict, to_dict
from onnxdup.reporting.runs import PROVIDERS, TOOL, identity
from onnxdup.reporting.search_schema import SCHEMA_VERSION, SweepPoint, SweepReport

Say = Callable[[str], None]


@dataclass(frozen=True)
class Grid:
    """Methods, each at all thresholds and shares that it takes, and the groups that take part."""

    methods: Sequence[str]
    taus: Sequence[float]
    shares: Sequence[float]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    state: Path | None = None
    resume: bool = False


def run(document: Document, grid: Grid, runs: Runs, say: Say | None = None) -> SweepReport:
    """Every setting of the grid, reduced and measured."""
    say = say or (lambda _: None)
    chosen, notes = settings(grid.methods, grid.taus, grid.shares)
    with Meter(
        document,
        runs.data,
        samples=runs.samples,
        seed=runs.seed,
        provider=runs.provider,
        input_shapes=runs.input_shapes,
    ) as meter:
        state = State(_subject(document, grid, runs, meter), grid.state, resume=grid.resume)
        sweep = Sweep(document, meter, tuple(grid.include), tuple(grid.exclude), runs.input_shapes, runs.seed)
        base = _base(document, meter)
        points = []
        for number, setting in enumerate(chosen, 1):
            value = setting.tau if setting.tau is not None else setting.keep
            say(f"{number} of {len(chosen)}: {setting.method} {value:g}")
            points.append(_point(sweep, setting, state))
        return SweepReport(
            schema="onnxdup/sweep",
            schema_version=SCHEMA_VERSION,
            tool=TOOL,
            model=identity(document),
            inputs=search_build.sweep_inputs(meter, runs.seed),
            provider=PROVIDERS.get(meter.provider, meter.provider),
            provider_note=meter.note,
            include=tuple(grid.include),
            exclude=tuple(grid.exclude),
            base=base,
            points=tuple(points),
            resumed=state.resumed,
            notes=notes,
        )


def _subject(document: Document, grid: Grid, runs: Runs, meter: Meter) -> dict[str, object]:
    return {
        **subject(document, meter, runs, remembered=grid.state is not None),
        "input_shapes": {k: list(v) for k, v in (runs.input_shapes or {}).items()},
        "include": list(grid.include),
        "exclude": list(grid.exclude),
    }


def _base(document: Document, meter: Meter) -> SweepPoint:
    filters = sum(x.filters for x in trace(document).layers)
    return search_build.sweep_point(
        "original", document, meter.quality(document), meter.macs(document), filters
    )


def _point(sweep: Sweep, setting: Setting, state: State) -> SweepPoint:
    held = state.get(setting.as_dict())
    if held is not None:
        return from_dict(SweepPoint, held)
    found = _measured(sweep, setting, sweep.reduced(setting))
    state.put(setting.as_dict(), to_dict(found))
    return found


def _measured(sweep: Sweep, setting: Setting, reduction: Reduction) -> SweepPoint:
    document, meter = reduction.document, sweep.meter
    declined = ", ".join(reduction.declined)
    return search_build.sweep_point(
        setting.method,
        document,
        meter.quality(document),
        meter.macs(document),
        sum(x.filters for x in reduction.after.layers),
        tau=setting.tau,
        keep=setting.keep,
        note=f"left as they are, sizes do not follow: {declined}" if declined else "",
    )
