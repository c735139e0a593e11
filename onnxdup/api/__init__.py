"""The Python API, and what the commands call: load, report, merge, shrink, sweep, evaluate, verify, compare,
check, write_html, write_plots.

Every function takes a path, an `onnx.ModelProto`, a graphsurgeon graph, an onnx-ir model or a loaded
`Document`, prints nothing and changes neither its argument nor the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxdup.graph import Document
from onnxdup.graph import load as _load

if TYPE_CHECKING:
    from onnxdup.api.calibrating import Calibrated as Calibrated
    from onnxdup.api.isolation import Isolation as Isolation
    from onnxdup.api.merging import Merged as Merged
    from onnxdup.api.merging import Rejected as Rejected
    from onnxdup.api.merging import Say
    from onnxdup.api.pages import Reported
    from onnxdup.api.searches import shrink as shrink
    from onnxdup.api.searches import sweep as sweep
    from onnxdup.api.shrinking import OverBudget as OverBudget
    from onnxdup.api.shrinking import Shrunk as Shrunk
    from onnxdup.gate.schema import CheckReport
    from onnxdup.merging import MergePlan
    from onnxdup.reporting.build import Advance
    from onnxdup.reporting.comparison.schema import ComparisonReport
    from onnxdup.reporting.schema import EvaluationReport, ModelReport, VerificationReport

Shapes = Mapping[str, tuple[int, ...]]

TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Thresholds of `report` and `sweep`: those of the paper's Figures 12 and 8."""


def load(source: Any, *, allow_linked_data: bool = False) -> Document:
    """The model of a path, `onnx.ModelProto`, graphsurgeon graph or onnx-ir model; a `Document` is returned
    as it is.

    Raises `InputError` where it cannot be read.
    """
    if isinstance(source, Document):
        return source
    return _load(source, allow_linked_data=allow_linked_data)


def report(
    model: Any,
    *,
    taus: Sequence[float] = TAUS,
    spectra: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    input_shapes: Shapes | None = None,
    constant_inputs: bool = False,
    progress: Advance | None = None,
) -> ModelReport:
    """Duplicate filters of every layer at each of `taus`, and why no more can be merged.

    `include` and `exclude` are globs on node and tensor names; `input_shapes` fixes dynamic inputs;
    `constant_inputs` counts what could be merged if no weight could be overridden; `spectra` adds singular
    values, which cost far more than the rest. Raises `InputError` or `UsageError`.
    """
    from onnxdup.reporting.build import build_report

    return build_report(
        load(model),
        taus,
        spectra=spectra,
        include=include,
        exclude=exclude,
        input_shapes=input_shapes,
        constant_inputs=constant_inputs,
        progress=progress,
    )


def write_html(
    report: Reported,
    path: str | Path,
    *,
    model: Any = None,
    details: int = 16,
    input_shapes: Shapes | None = None,
) -> Path:
    """One self-contained HTML page about what `report` or `merge` returned; returns its path.

    `model` is what was reported (of a merge: the original); by default the file that the report names, if it
    has not changed. Without it, pictures that need the weights are left out. `details` layers are drawn:
    those with most to merge. Raises `UsageError` where Jinja2 or matplotlib is missing (`onnxdup[html]`).
    """
    from onnxdup.api.pages import portraits
    from onnxdup.reporting.files import write_text
    from onnxdup.reporting.html import render

    drawn, failures = portraits(report, model, details=details, input_shapes=input_shapes)
    return write_text(path, render(drawn, failures), "the page")


def write_plots(
    report: Reported,
    folder: str | Path,
    *,
    model: Any = None,
    details: int = 16,
    input_shapes: Shapes | None = None,
) -> tuple[Path, ...]:
    """The pictures of `write_html` as files: charts as SVG, matrices and filters as PNG."""
    from onnxdup.api.pages import portraits
    from onnxdup.reporting.plots import write_files

    drawn, _ = portraits(report, model, details=details, input_shapes=input_shapes)
    return write_files(drawn, Path(folder))


def evaluate(
    model: Any,
    data: Any = None,
    *,
    batch: int | None = None,
    latency: bool = True,
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
) -> EvaluationReport:
    """Accuracy with its interval (where `data` has labels), latency of a batch, parameters, MACs and bytes.

    `data` is a path (.npz or a folder of .npy), "package.module:function", a dict of arrays or a pair (x, y);
    None makes inputs up. `samples` draws that many of them. Raises `CannotVerify` where the model cannot run.
    """
    from onnxdup import evaluation
    from onnxdup.reporting import runs

    document = load(model)
    found = evaluation.evaluate(
        document,
        data,
        provider=provider,
        batch=batch,
        samples=samples,
        seed=seed,
        input_shapes=input_shapes,
        timed=latency,
    )
    return runs.evaluation_report(document, found)


def merge(
    model: Any,
    *,
    tau: float = 1.0,
    method: str | None = None,
    keep: float | Mapping[str, int] | None = None,
    compensation: str | None = None,
    calibration: Any = None,
    plan: str | Path | MergePlan | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    constant_inputs: bool = False,
    data: Any = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    exact_ulp: int = 4,
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
    output: str | Path | None = None,
    in_place: bool = False,
    ledger: str | Path | None = None,
    keep_rejected: bool = False,
    stamp: bool = True,
    progress: Say | None = None,
) -> Merged:
    """A smaller model, verified against the original: exact merges and, below `tau` 1, approximate ones.

    `method` is a name of `onnxdup.merging.METHODS`, `compensation` one of `COMPENSATIONS` in place of the
    method's own; `keep` is the share of its channels that each group keeps, or how many of them (group →
    count). `calibration` are data (labels are not read) on which layers are measured and cut one after the
    other. `plan` replays a saved plan instead. `constant_inputs` makes
    constants of the weights that callers could override (initializers that are graph inputs). `max_drop`
    (percentage points of accuracy, needs labels in `data`) and `min_agreement` (percent of top-1 answers) are
    limits; `rtol` and `atol` replace the tolerance of exact merges. With `output` the verified file and its
    ledger are written; otherwise `Merged.save` does.

    Raises `Rejected` (a `GateFailed` with the report) where a check fails, `CannotVerify` where it could not
    be made.
    """
    from onnxdup.api.merging import Choice, Target, run
    from onnxdup.api.verification import Runs
    from onnxdup.reporting.judge import Limits

    return run(
        load(model),
        Choice(tau, method, keep, plan, include, exclude, constant_inputs, compensation, calibration),
        Target(None if output is None else Path(output), in_place, ledger, keep_rejected, stamp),
        Runs(data, samples, seed, provider, input_shapes, exact_ulp),
        Limits(max_drop, min_agreement, rtol, atol),
        progress,
    )


def calibrate(
    model: Any,
    data: Any,
    *,
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    output: str | Path | None = None,
    in_place: bool = False,
    progress: Say | None = None,
) -> Calibrated:
    """The same model with a moment sketch in its metadata: what `data` (labels are not read) teach about the
    values that weights read. `merge` and `shrink` predict errors from it wherever the file goes.

    With `output` the file is written. Raises `CannotVerify` where the model does not run on the data.
    """
    from onnxdup.api.calibrating import run

    found = run(load(model), data, samples=samples, seed=seed, provider=provider, say=progress)
    if output is not None:
        found.save(output, in_place=in_place)
    return found


def verify(
    original: Any,
    reduced: Any,
    data: Any = None,
    *,
    ledger: str | Path | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
) -> VerificationReport:
    """Two models side by side on `data` or made-up inputs, and the ledger of exact merges derived again.

    The ledger is `ledger`, or the file beside `reduced`. Where it accounts for the whole difference between
    the models, or `rtol` or `atol` are given, the outputs must agree within rounding. A failed check is no
    exception: see `status`.
    """
    from onnxdup.api.verification import Runs, verification
    from onnxdup.reporting.judge import Limits

    return verification(
        load(original),
        load(reduced),
        None if ledger is None else Path(ledger),
        Runs(data, samples, seed, provider, input_shapes),
        Limits(max_drop, min_agreement, rtol, atol),
    )


def compare(
    a: Any,
    b: Any,
    data: Any = None,
    *,
    tau: float = 0.9,
    energy: float = 0.99,
    layers: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
    progress: Advance | None = None,
) -> ComparisonReport:
    """Have two networks learned the same filters? SV-CCA and the best matching of every pair of layers.

    Without `data` filters are compared by their weights, their inputs in the order that the matching of the
    layer before found; with `data` (as for `evaluate`) by what they answer, before the non-linearity. `tau`
    is the |cosine| that counts as the same filter, `energy` the share of the energy that SV-CCA keeps (1:
    all), `layers` are pairs "a=b" of names that belong together. Raises `InputError`, `UsageError`, and with
    data `CannotVerify`.
    """
    from onnxdup.reporting.comparison.build import Choice, build_comparison

    names, globs = tuple(layers), (tuple(include), tuple(exclude))
    how = Choice(tau, energy, names, *globs, seed, samples, provider, input_shapes)
    return build_comparison(load(a), load(b), data, how, progress)


def check(
    model: Any,
    *,
    base: Any = None,
    data: Any = None,
    tau: float = 1.0,
    max_duplicates: float | None = None,
    max_removable: float | None = None,
    max_bytes: int | None = None,
    max_macs: int | None = None,
    max_parameters: int | None = None,
    max_drop: float | None = None,
    confidence: float = 0.95,
    base_accuracy: float | None = None,
    min_agreement: float | None = None,
    max_latency_ratio: float | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
    isolate: bool | Isolation = True,
) -> CheckReport:
    """A model, or the path of a .json report of one, held to budgets; without any, to "no duplicate that an
    exact merge would remove".

    The budgets are those of `onnxdup.gate.Budgets`. `base` is a reference model, or the path of a report with
    a stored accuracy. The model runs in a process of its own unless `isolate` is False; `Isolation` sets its
    limits. A budget that is missed is no exception: see `status` (passed, failed or inconclusive). Raises
    `CannotVerify` where a budget cannot be judged.
    """
    from onnxdup.api.checking import Gate, check_model, collect
    from onnxdup.api.isolation import Isolation, default_memory
    from onnxdup.api.measuring import Measuring
    from onnxdup.gate import Budgets

    amounts = (max_duplicates, max_removable, max_bytes, max_macs, max_parameters)
    budgets = Budgets(
        *(tau, *amounts, max_drop, confidence, base_accuracy, min_agreement, max_latency_ratio),
    )
    how = Measuring(
        samples=samples,
        seed=seed,
        provider=provider,
        input_shapes=dict(input_shapes or {}),
        include=tuple(include),
        exclude=tuple(exclude),
    )
    limits = Isolation(bytes=default_memory()) if isolate is True else isolate or None
    gate = Gate(budgets, base=base, data=data, how=how, isolation=limits)
    return collect(check_model(model, gate), (), budgets)


def __getattr__(name: str) -> Any:
    if name == "Isolation":
        from onnxdup.api import isolation

        return isolation.Isolation
    if name in ("shrink", "sweep"):
        from onnxdup.api import searches

        return getattr(searches, name)
    if name in ("OverBudget", "Shrunk"):
        from onnxdup.api import shrinking

        return getattr(shrinking, name)
    if name in ("Merged", "Rejected"):
        from onnxdup.api import merging

        return getattr(merging, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
