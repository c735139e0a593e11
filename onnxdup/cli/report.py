"""`onnxdup report MODEL…`: duplicates per layer and threshold, and why no more can be merged."""

from __future__ import annotations

from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.errors import InputError


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
@opt.many(opt.include, opt.exclude, opt.constant_inputs, opt.input_shape, opt.allow_linked_data, opt.common)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    models: tuple[str, ...],
    tau: tuple[float, ...],
    input_shape: tuple[str, ...],
    allow_linked_data: bool,
    **choices: Any,
) -> int:
    """Duplicate filters per layer and threshold, and why not more.

    MODEL is an ONNX file or a glob. Files of a glob that cannot be read are listed, and the exit code is
    theirs.
    """
    files, shapes = values.models(models), values.shapes(input_shape)
    thresholds = sorted(set(tau), reverse=True)
    from onnxdup import api
    from onnxdup.reporting.build import combine
    from onnxdup.reporting.schema import Failure, ModelReport

    console = opt.console_of(context)
    reports: list[ModelReport] = []
    failures: list[Failure] = []
    for file in files:
        try:
            document = api.load(file, allow_linked_data=allow_linked_data)
            with console.advance(file) as progress:
                found = api.report(
                    document, taus=thresholds, input_shapes=shapes, progress=progress, **choices
                )
            reports.append(found)
        except InputError as error:
            if len(files) == 1:
                raise
            failures.append(Failure(file, error.exit_code, str(error)))
            console.warn(str(error))
    console.artefact(combine(reports, failures))
    return max((f.exit_code for f in failures), default=0)
