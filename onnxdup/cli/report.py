"""`onnxdup report MODEL…`: duplicates per layer and threshold, and why no more can be merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.pages import Pages
from onnxdup.cli.pages import options as drawing
from onnxdup.errors import InputError

if TYPE_CHECKING:
    from onnxdup.cli.console import Console
    from onnxdup.graph import Document
    from onnxdup.reporting.portrait import Portrait
    from onnxdup.reporting.schema import ModelReport


@click.command("report")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@opt.option(
    "--tau",
    multiple=True,
    type=values.TAU,
    default=(1.0, 0.95, 0.9, 0.85, 0.8),
    show_default=True,
    help="Similarity threshold (repeatable).",
)
@opt.option(
    "--spectra", is_flag=True, help="Also singular values, 99 % energy rank, trace complexity (slow)."
)
@drawing
@opt.many(opt.include, opt.exclude, opt.constant_inputs, opt.input_shape, opt.allow_linked_data, opt.common)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    models: tuple[str, ...],
    tau: tuple[float, ...],
    input_shapes: values.Shapes,
    allow_linked_data: bool,
    html: Path | None,
    plots: Path | None,
    details: int,
    **choices: Any,
) -> int:
    """Duplicate filters per layer and threshold, and why not more.

    MODEL is an ONNX file or a glob. Files of a glob that cannot be read are listed, and the exit code is
    theirs.
    """
    pages = Pages(html, plots, details)
    files = values.models(models)
    thresholds = sorted(set(tau), reverse=True)
    from onnxdup import api
    from onnxdup.reporting.build import combine
    from onnxdup.reporting.schema import Failure

    console = opt.console_of(context)
    reports: list[ModelReport] = []
    failures: list[Failure] = []
    portraits: list[Portrait] = []
    for file in files:
        try:
            document = api.load(file, allow_linked_data=allow_linked_data)
            with console.advance(file) as progress:
                found = api.report(
                    document, taus=thresholds, input_shapes=input_shapes, progress=progress, **choices
                )
            reports.append(found)
            if pages.wanted:
                portraits.append(_drawn(console, found, document, pages.per_model(len(files)), input_shapes))
        except InputError as error:
            if len(files) == 1:
                raise
            failures.append(Failure(file, error.exit_code, str(error)))
            console.warn(str(error))
    console.artefact(combine(reports, failures))
    pages.write(portraits, failures, console.say)
    return max((f.exit_code for f in failures), default=0)


def _drawn(
    console: Console,
    report: ModelReport,
    document: Document,
    details: int,
    shapes: values.Shapes,
) -> Portrait:
    from onnxdup.reporting.portrait import portray

    with console.advance("drawing") as progress:
        return portray(report, document, details=details, input_shapes=shapes, progress=progress)
