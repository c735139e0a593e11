"""`onnxdup merge MODEL --tau T -o OUT`: a smaller model, verified before it is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.isolate import isolated
from onnxdup.cli.pages import Pages
from onnxdup.cli.pages import options as drawing

if TYPE_CHECKING:
    from onnxdup.cli.values import Shapes


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
@opt.output
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
@opt.plan_out
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
    input_shapes: Shapes,
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
    target, pages = values.target(model, output, in_place), Pages(html, plots, details)
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
                input_shapes=input_shapes,
                progress=say,
                **choices,
            )
    except api.Rejected as rejected:
        console.took(rejected.report.provider_note)
        console.artefact(rejected.report)
        pages.draw(console, rejected.report, document, None, input_shapes)
        raise
    if plan_out is not None:
        merged.save_plan(plan_out)
    console.took(merged.report.provider_note)
    console.artefact(merged.report)
    pages.draw(console, merged.report, document, merged.document, input_shapes)
    return 0
