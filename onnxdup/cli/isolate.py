"""`--isolate`: the whole command again, in a process of its own with limits of time and memory."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli.amounts import AMOUNT

CHILD = "ONNXDUP_CHILD"


def _isolate(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Hand this command line to a child and end with its exit code; in the child, go on."""
    if not value or os.environ.get(CHILD):
        return
    from onnxdup.api.isolation import Isolation, default_memory, run_again

    console = opt.console_of(context)
    limits = Isolation(console.time_limit, console.memory_limit or default_memory())
    sys.stdout.flush()
    context.exit(run_again(console.arguments, limits, {CHILD: "1"}, what=f"onnxdup {context.info_name}"))


def _limit(name: str, **rest: Any) -> Any:
    attribute = name.lstrip("-").replace("-", "_")
    return opt.option(name, callback=opt.settings(attribute), is_eager=True, expose_value=False, **rest)


isolated = opt.many(
    opt.option(
        "--isolate/--no-isolate",
        default=False,
        show_default=True,
        callback=_isolate,
        expose_value=False,
        help="Run in a process of its own, which may crash, hang or grow without harm (untrusted models).",
    ),
    _limit(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        default=1800.0,
        show_default=True,
        metavar="SECONDS",
        help="Time that process may take.",
    ),
    _limit(
        "--memory-limit",
        type=AMOUNT,
        metavar="N",
        help="Memory that process may take, as 4GiB (default: three quarters of what there is).",
    ),
)
"""`--isolate` and its limits, for commands that run models."""
