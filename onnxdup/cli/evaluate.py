"""`onnxdup evaluate MODEL --data D`: accuracy with its interval, latency and size."""

from __future__ import annotations

from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli.isolate import isolated


@click.command("evaluate")
@click.argument("model")
@opt.data
@opt.option("--batch", type=opt.POSITIVE, default=64, show_default=True, help="Samples per run.")
@opt.option("--latency/--no-latency", default=True, help="Measure latency at this batch.")
@opt.many(isolated, opt.running, opt.common)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    model: str,
    allow_linked_data: bool,
    **choices: Any,
) -> int:
    """Accuracy with its interval, latency and size of a model."""
    from onnxdup import api

    console = opt.console_of(context)
    document = api.load(model, allow_linked_data=allow_linked_data)
    console.say(f"running {model}")
    found = api.evaluate(document, **choices)
    console.took(found.provider_note)
    console.artefact(found)
    return 0
