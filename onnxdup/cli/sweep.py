"""`onnxdup sweep MODEL --data D`: accuracy against compression, for methods and settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.isolate import isolated


@click.command("sweep")
@click.argument("model")
@opt.data
@opt.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    default=("paper", "norm", "cluster", "obs"),
    show_default=True,
    help="Methods of merge, and shrink: one share of all channels, allocated by error (repeatable).",
)
@opt.option(
    "--tau",
    "taus",
    type=values.TAU,
    multiple=True,
    help="Similarity threshold (repeatable; 1, .95, .9, .85, .8 without --tau and --keep).",
)
@opt.option(
    "--keep",
    "keeps",
    type=values.TAU,
    multiple=True,
    metavar="F",
    help="Share of its channels that every group keeps (repeatable).",
)
@opt.option("--csv", type=opt.PATH, metavar="FILE", help="Also write the table as CSV.")
@opt.option("--plot", type=opt.PATH, metavar="FILE", help="Also draw it, as .svg or .png.")
@opt.option(
    "--against",
    type=click.Choice(("filters", "parameters", "macs", "bytes")),
    default="filters",
    show_default=True,
    help="What --plot counts.",
)
@opt.many(opt.state, opt.include, opt.exclude, isolated, opt.running, opt.common)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    model: str,
    csv: Path | None,
    plot: Path | None,
    against: Any,
    taus: tuple[float, ...],
    allow_linked_data: bool,
    **choices: Any,
) -> int:
    """Accuracy against compression: methods at thresholds or shares.

    Every model is measured on --data; without labels the table shows the error of the outputs. Nothing is
    judged, and no model is written.
    """
    from onnxdup import api
    from onnxdup.reporting import search_formats as formats
    from onnxdup.reporting import sweep_csv
    from onnxdup.reporting.files import write_text
    from onnxdup.reporting.plots import sweep as drawing

    if plot is not None:
        drawing.demand(plot)
    console = opt.console_of(context)
    document = api.load(model, allow_linked_data=allow_linked_data)
    with console.working(model) as say:
        report = api.sweep(document, taus=taus or None, progress=say, **choices)
    console.took(report.provider_note)
    if csv is not None:
        write_text(csv, sweep_csv.render(report), "the table")
    if plot is not None:
        drawing.save(report, plot, against)
    console.emit(report, formats.FORMATS, formats.view, formats.of_suffix)
    return 0
