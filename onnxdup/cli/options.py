"""The options that several commands share, spelled and explained once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from onnxdup.cli import config, values
from onnxdup.cli.console import Console
from onnxdup.errors import UsageError

FORMATS = ("text", "json", "markdown", "junit", "github")
PROVIDERS = ("auto", "cpu", "cuda")
PATH = click.Path(path_type=Path)
POSITIVE = click.IntRange(min=1)
NOT_NEGATIVE = click.FloatRange(min=0)

F = TypeVar("F", bound=Callable[..., Any])


def option(*names: str, **rest: Any) -> Callable[[F], F]:
    """A click option that also reads ONNXDUP_<LONG_NAME>."""
    long = max((n.partition("/")[0] for n in names), key=len).lstrip("-")
    return click.option(*names, envvar=f"ONNXDUP_{long.replace('-', '_').upper()}", **rest)


def settings(attribute: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that puts an option's value into the Console of this invocation."""

    def store(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        setattr(console_of(context), attribute, value)

    return store


def _set_verbose(context: click.Context, _parameter: click.Parameter, value: int) -> None:
    console_of(context).verbose = value
    if value > 1:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logging.getLogger("onnxdup").addHandler(handler)
        logging.getLogger("onnxdup").setLevel(logging.DEBUG)


def _set_reports(context: click.Context, _parameter: click.Parameter, value: tuple[Path, ...]) -> None:
    page = next((path for path in value if path.suffix.lower() in (".html", ".htm")), None)
    if page is not None:
        raise UsageError("--report writes no pages", file=page, remedy="use --html FILE with report or merge")
    console_of(context).reports = value


def console_of(context: click.Context) -> Console:
    """The Console that `main` made for this invocation."""
    return context.find_root().ensure_object(Console)


def _format(formats: Sequence[str]) -> Callable[[F], F]:
    return option(
        "--format",
        type=click.Choice(formats),
        default="text",
        show_default=True,
        help="What stdout gets.",
        callback=settings("format"),
        expose_value=False,
    )


_COMMON = (
    option(
        "--json", is_flag=True, help="Same as --format json.", callback=settings("json"), expose_value=False
    ),
    option(
        "--report",
        type=PATH,
        multiple=True,
        metavar="FILE",
        help="Also write the report to FILE, as it is named: .json, .md, .xml (JUnit), or text; repeatable.",
        callback=_set_reports,
        expose_value=False,
    ),
)

_TALK = (
    option(
        "--progress",
        type=click.Choice(("auto", "on", "off")),
        default="auto",
        show_default=True,
        help="Progress bar on stderr.",
        callback=settings("progress"),
        expose_value=False,
    ),
    option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Nothing on stderr but warnings and errors.",
        callback=settings("quiet"),
        expose_value=False,
    ),
    option(
        "-v",
        "--verbose",
        count=True,
        help="Say more on stderr; -vv with the log of the runtime.",
        callback=_set_verbose,
        expose_value=False,
    ),
    option(
        "--config",
        type=PATH,
        metavar="FILE",
        help="Defaults from this TOML file, not from the nearest onnxdup.toml or pyproject.toml.",
        callback=config.apply,
        is_eager=True,
        expose_value=False,
    ),
    option(
        "--debug",
        is_flag=True,
        help="Show the traceback of an error.",
        callback=settings("debug"),
        is_eager=True,
        expose_value=False,
    ),
)


def common(function: F) -> F:
    """The options of every command; they act on the Console, so that the command need not see them."""
    return common_in(*FORMATS)(function)


def common_in(*formats: str) -> Callable[[F], F]:
    """`common` for a command whose document has these formats."""
    return many(_format(formats), *_COMMON, *_TALK)


def many(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several decorators as one, listed in the order of the help text."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


data = option(
    "--data",
    metavar="DATA",
    help="Data: .npz (one array per input or x, and y), folder of .npy, or package.module:function.",
)
provider = option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default="auto",
    show_default=True,
    help="Where models run; cuda is proven, or exits 4.",
)
samples = option(
    "--samples",
    type=POSITIVE,
    metavar="N",
    help="Draw N samples of the data (default: all), or make N inputs up (default: 8).",
)
seed = option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness."
)
rtol = option(
    "--rtol", type=NOT_NEGATIVE, help="Relative tolerance of exact merges (default: from the fan-in)."
)
atol = option(
    "--atol", type=NOT_NEGATIVE, help="Absolute tolerance of exact merges (default: from the fan-in)."
)
max_drop = option(
    "--max-drop",
    type=NOT_NEGATIVE,
    metavar="P",
    help="Fail if accuracy falls by more percentage points (needs labels).",
)
min_agreement = option(
    "--min-agreement",
    type=click.FloatRange(0, 100),
    metavar="P",
    help="Fail if top-1 agreement is below this percentage.",
)
calibration = option(
    "--calibration", metavar="DATA", help="Data (without labels) on which layers are measured before a cut."
)
include = option(
    "--include", multiple=True, metavar="GLOB", help="Only matching nodes or tensors (repeatable)."
)
exclude = option(
    "--exclude", multiple=True, metavar="GLOB", help="Not matching nodes or tensors (repeatable)."
)
constant_inputs = option(
    "--constant-inputs", is_flag=True, help="Weights that are also graph inputs become constants."
)
input_shape = option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    callback=lambda _context, _parameter, texts: values.shapes(texts),
    metavar="NAME:DIMS",
    help="Shape of a dynamic input, as x:1,3,224,224 (repeatable).",
)
allow_linked_data = option(
    "--allow-linked-data", is_flag=True, help="Follow links to external data outside the model's folder."
)
exact_ulp = option(
    "--exact-ulp",
    type=click.IntRange(min=0),
    default=4,
    show_default=True,
    help="Units in the last place within which stored weights count as equal.",
)
output = option("-o", "--output", type=PATH, metavar="FILE", help="Where the smaller model goes.")
plan_out = option("--plan-out", type=PATH, metavar="FILE", help="Write the plan as JSON.")
state = many(
    option("--state", type=PATH, metavar="FILE", help="Remember in FILE what was measured."),
    option("--resume", is_flag=True, help="Go on from --state where an earlier run was interrupted."),
)
in_place = option("--in-place", is_flag=True, help="Allow the output to replace the input.")
writing = many(
    option("--ledger", type=PATH, metavar="FILE", help="Ledger of exact merges (default: OUT.ledger.json)."),
    in_place,
    option("--keep-rejected", is_flag=True, help="Keep a model that failed as OUT.rejected.onnx."),
    option("--no-stamp", is_flag=True, help="Add no onnxdup.* metadata to the output."),
)
"""How the files of a smaller model are written."""
talk = many(*_TALK)
running = many(samples, seed, provider, input_shape, allow_linked_data)
judging = many(data, max_drop, min_agreement, rtol, atol)
