"""`onnxdup shrink MODEL --max-drop P -o OUT`: the smallest model within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.amounts import AMOUNT
from onnxdup.cli.isolate import isolated
from onnxdup.cli.pages import Pages
from onnxdup.cli.pages import options as drawing

if TYPE_CHECKING:
    from onnxdup.cli.values import Shapes


@click.command("shrink")
@click.argument("model")
@opt.output
@opt.option(
    "--keep",
    type=values.TAU,
    metavar="F",
    help="Target: this share of the channels of all groups that can be cut, together.",
)
@opt.option("--target-params", type=AMOUNT, metavar="N", help="Target: at most N parameters, as 1.5M.")
@opt.option(
    "--target-macs", type=AMOUNT, metavar="N", help="Target: at most N multiply-accumulates a sample."
)
@opt.option("--target-bytes", type=AMOUNT, metavar="N", help="Target: at most N bytes, as 2MiB.")
@opt.option(
    "--target-latency",
    type=opt.NOT_NEGATIVE,
    metavar="MS",
    help="Target: a batch takes at most MS milliseconds, measured here.",
)
@opt.option(
    "--max-drop",
    type=opt.NOT_NEGATIVE,
    metavar="P",
    help="Limit: accuracy on --data falls by at most P percentage points, shown at --confidence.",
)
@opt.option(
    "--max-error",
    type=opt.NOT_NEGATIVE,
    metavar="E",
    help="Limit: outputs change by at most E of their root mean square (no labels needed).",
)
@opt.min_agreement
@opt.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence of --max-drop, one-sided.",
)
@opt.option("--method", metavar="NAME", default="refine", show_default=True, help="How groups are narrowed.")
@opt.calibration
@opt.option(
    "--probe",
    type=click.Choice(("auto", "on", "off")),
    default="auto",
    show_default=True,
    help="Measure first how much the outputs mind each layer (auto: with --data, or where it is quick).",
)
@opt.option(
    "--round-to",
    type=opt.POSITIVE,
    default=1,
    show_default=True,
    metavar="N",
    help="What a group keeps is a multiple of N, or all.",
)
@opt.data
@opt.option("--holdout", metavar="DATA", help="Data on which the result is measured that chose nothing.")
@opt.option(
    "--batch", type=opt.POSITIVE, default=1, show_default=True, help="Samples per run of --target-latency."
)
@opt.many(opt.state, opt.plan_out, opt.exact_ulp, opt.writing, drawing)
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
    probe: str,
    input_shapes: Shapes,
    allow_linked_data: bool,
    html: Path | None,
    plots: Path | None,
    details: int,
    **choices: Any,
) -> int:
    """The smallest model within a budget.

    With a target, the least reduction that reaches it; with limits alone, the largest that keeps them. Exact
    merges come first; then channels go in the order of predicted error per saved cost. Candidates are
    measured, and the result is verified before it is written. Nothing is written where no model is within
    the budget.
    """
    target, pages = values.target(model, output, in_place), Pages(html, plots, details)
    from onnxdup import api
    from onnxdup.reporting import search_formats as formats

    console = opt.console_of(context)
    document = api.load(model, allow_linked_data=allow_linked_data)
    try:
        with console.working(model) as say:
            shrunk = api.shrink(
                document,
                output=target,
                in_place=in_place,
                stamp=not no_stamp,
                probe={"on": True, "off": False}.get(probe),
                input_shapes=input_shapes,
                progress=say,
                **choices,
            )
    except api.OverBudget as over:
        console.emit(over.report, formats.FORMATS, formats.view, formats.of_suffix)
        pages.draw(console, over.report, document, None, input_shapes)
        raise
    if plan_out is not None:
        shrunk.save_plan(plan_out)
    if shrunk.report.merge is not None:
        console.took(shrunk.report.merge.provider_note)
    console.emit(shrunk.report, formats.FORMATS, formats.view, formats.of_suffix)
    pages.draw(console, shrunk.report, document, shrunk.document, input_shapes)
    return 0
