"""`onnxdup verify ORIGINAL REDUCED`: outputs side by side, and the ledger of exact merges derived again."""

from __future__ import annotations

from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli.isolate import isolated


@click.command("verify")
@click.argument("original")
@click.argument("reduced")
@opt.judging
@opt.option(
    "--ledger",
    type=opt.PATH,
    metavar="FILE",
    help="Ledger of exact merges (default: REDUCED.ledger.json if it is there).",
)
@opt.many(isolated, opt.running, opt.common)
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    original: str,
    reduced: str,
    allow_linked_data: bool,
    **choices: Any,
) -> int:
    """Compare two models, and derive the ledger of merges again."""
    from onnxdup import api

    console = opt.console_of(context)
    before = api.load(original, allow_linked_data=allow_linked_data)
    after = api.load(reduced, allow_linked_data=allow_linked_data)
    console.say(f"comparing {reduced} with {original}")
    found = api.verify(before, after, **choices)
    console.took(found.provider_note)
    console.artefact(found)
    return 0 if found.status == "passed" else 1
