"""`onnxdup merge MODEL --tau T -o OUT`: a smaller model, verified before it is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.isolate import isolated
from onnxdup.cli.pages import Pages
from onnxdup.cli.pages import options as drawing
from onnxdup.errors import UsageError

if TYPE_CHECKING:
    from onnxdup.cli.console import Console
    from onnxdup.graph import Document
    from onnxdup.reporting.schema import MergeReport


METHODS = (
    "exact (at tau 1), cluster (default below), obs, refine, ward, or for comparison paper, fold, fold-ward, "
    "fold-repair, neuron-merging, srinivas-babu, dpp, norm, norm-l2, random"
)
WAYS = (
    "none, sum, scaled-sum, mean, weighted-mean, paper-mean, repair, least-squares, folded-least-squares, "
    "weighted-least-squares, refined"
)


@click.command("merge")
@click.argument("model")
@opt.option("-o", "--output", type=opt.PATH, metavar="FILE", help="Where the smaller model goes.")
@opt.option(
    "--tau",
    type=values.TAU,
    default=1.0,
    show_default=True,
    help="Similarity threshold; 1 is the exact pass alone.",
)
@opt.option("--method", metavar="NAME", help=f"{METHODS}.")
@opt.option(
    "--compensation", metavar="NAME", help=f"How readers make good, instead of the method's way: {WAYS}."
)
@opt.calibration
@opt.option(
    "--keep", type=values.TAU, metavar="F", help="Share of its channels that a group keeps, instead of tau."
)
@opt.exact_ulp
@opt.judging
@opt.option("--plan", type=opt.PATH, metavar="FILE", help="Replay this plan instead of making one.")
@opt.option("--plan-out", type=opt.PATH, metavar="FILE", help="Write the plan as JSON.")
@opt.writing
@drawing
@opt.many(opt.include, opt.exclude, opt.constant_inputs, isolated, opt.running, opt.common)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    model: str,
    output: Path | None,
    plan_out: Path | None,
    in_place: bool,
    no_stamp: bool,
    input_shape: tuple[str, ...],
    allow_linked_data: bool,
    html: Path | None,
    plots: Path | None,
    details: int,
    **choices: Any,
) -> int:
    """Merge duplicates: exactly, then near ones below tau 1.

    Verifies before it writes: the checker, onnxruntime, finite outputs, exact merges within rounding, and the
    limits that are given. A model that fails is not written.
    """
    target, pages = target_of(model, output, in_place), Pages(html, plots, details)
    shapes = values.shapes(input_shape)
    from onnxdup import api

    console = opt.console_of(context)
    document = api.load(model, allow_linked_data=allow_linked_data)
    try:
        with console.working(model) as say:
            merged = api.merge(
                document,
                output=target,
                in_place=in_place,
                stamp=not no_stamp,
                input_shapes=shapes,
                progress=say,
                **choices,
            )
    except api.Rejected as rejected:
        console.took(rejected.report.provider_note)
        console.artefact(rejected.report)
        _draw(console, pages, rejected.report, document, None, shapes)
        raise
    if plan_out is not None:
        merged.save_plan(plan_out)
    console.took(merged.report.provider_note)
    console.artefact(merged.report)
    _draw(console, pages, merged.report, document, merged.document, shapes)
    return 0


def _draw(
    console: Console,
    pages: Pages,
    report: MergeReport,
    before: Document,
    after: Document | None,
    shapes: dict[str, tuple[int, ...]],
) -> None:
    if not pages.wanted:
        return
    from onnxdup.api.pages import of_merge

    with console.advance("drawing") as progress:
        portrait = of_merge(
            report, before, after, details=pages.details, input_shapes=shapes, progress=progress
        )
    pages.write([portrait], (), console.say)


def target_of(model: str, output: Path | None, in_place: bool) -> Path:
    """The file to write; UsageError before any work where that cannot succeed."""
    if output is None and not in_place:
        raise UsageError("no output given", remedy="add -o FILE, or --in-place to replace the input")
    target = output or Path(model)
    folder = target.parent
    if target.is_dir():
        raise UsageError("the output is a folder", file=target, remedy="name a file")
    if not folder.is_dir():
        raise UsageError("the folder of the output does not exist", file=folder)
    if not os.access(folder, os.W_OK):
        raise UsageError("the folder of the output cannot be written", file=folder)
    if target.exists() and Path(model).exists() and target.samefile(model) and not in_place:
        raise UsageError(
            "the output is the input", file=target, remedy="choose another name or add --in-place"
        )
    return target
