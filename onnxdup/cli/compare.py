"""`onnxdup compare A B`: have two networks learned the same filters?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.isolate import isolated

_choices = opt.many(
    opt.option(
        "--layers",
        multiple=True,
        metavar="A=B",
        help="Layers that belong together, by weight or node name (repeatable; others by name, then order).",
    ),
    opt.option(
        "--tau",
        type=values.TAU,
        default=0.9,
        show_default=True,
        help="|cosine| from which two filters count as the same.",
    ),
    opt.option(
        "--energy",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.99,
        show_default=True,
        help="Share of a layer's energy that SV-CCA keeps; 1 is plain CCA.",
    ),
    opt.option(
        "--plot",
        type=opt.PATH,
        multiple=True,
        metavar="FILE",
        help="Also draw it: .svg or .png (needs matplotlib; repeatable).",
    ),
)
_running = opt.many(
    opt.option(
        "--samples",
        type=opt.POSITIVE,
        metavar="N",
        help="Draw N samples of the data (default: as many as there are points to look at).",
    ),
    *(opt.seed, opt.provider, opt.input_shape, opt.allow_linked_data),
)


@click.command("compare")
@click.argument("a")
@click.argument("b")
@opt.option(
    "--data",
    metavar="DATA",
    help="Compare what filters answer to these data instead of their weights (as for evaluate).",
)
@opt.many(_choices, opt.include, opt.exclude, isolated, _running, opt.common_in("text", "json", "markdown"))
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    a: str,
    b: str,
    allow_linked_data: bool,
    plot: tuple[Path, ...],
    **choices: Any,
) -> int:
    """Have two networks learned the same filters?

    SV-CCA of their layers, and the best matching of their filters up to order, sign and scale, each beside
    what chance gives.
    """
    from onnxdup import api
    from onnxdup.reporting.comparison import plot as picture
    from onnxdup.reporting.comparison.formats import FORMATS, of_suffix
    from onnxdup.reporting.comparison.view import of_comparison

    picture.check(plot)
    console = opt.console_of(context)
    first, second = (api.load(m, allow_linked_data=allow_linked_data) for m in (a, b))
    with console.advance(f"{a} and {b}") as progress:
        found = api.compare(first, second, progress=progress, **choices)
    console.took(found.provider_note)
    for path in plot:
        picture.draw(found, path)
    console.emit(found, FORMATS, of_comparison, of_suffix)
    return 0
