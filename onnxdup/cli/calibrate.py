"""`onnxdup calibrate MODEL --data D -o OUT`: what data teach about the layers, stored in the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.errors import UsageError


@click.command("calibrate")
@click.argument("model")
@opt.option("-o", "--output", type=opt.PATH, metavar="FILE", help="Where the model with its sketch goes.")
@opt.in_place
@opt.option("--json", "as_json", is_flag=True, help="Say as JSON what was stored.")
@opt.many(opt.data, opt.samples, opt.seed, opt.provider, opt.allow_linked_data, opt.talk)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    model: str,
    output: Path | None,
    in_place: bool,
    as_json: bool,
    data: str | None,
    allow_linked_data: bool,
    **choices: Any,
) -> int:
    """Store what data teach about a model's layers in the model.

    The moment sketch is a few kilobytes of metadata per layer: means, variances and principal directions of
    what its weights read. merge and shrink then predict errors from it, without the data.
    """
    target = values.target(model, output, in_place)
    if data is None:
        raise UsageError("no data given", remedy="add --data FILE.npz (labels are not needed)")
    from onnxdup import api

    console = opt.console_of(context)
    document = api.load(model, allow_linked_data=allow_linked_data)
    with console.working(model) as say:
        found = api.calibrate(document, data, progress=say, output=target, in_place=in_place, **choices)
    facts = {"output": str(target), "samples": found.samples, "values": found.values, "bytes": found.nbytes}
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo(
            f"{target}: moments of {found.values} values from {found.samples} samples, "
            f"{found.nbytes} bytes of metadata"
        )
    return 0
