"""The application: its commands, and the one place where exceptions become a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from onnxdup import __version__
from onnxdup.cli import calibrate, check, compare, doctor, evaluate, merge, report, shrink, sweep, verify
from onnxdup.cli.console import Console
from onnxdup.errors import OnnxdupError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Options also come from ONNXDUP_<OPTION>, onnxdup.toml or [tool.onnxdup] in pyproject.toml.",
)
@click.version_option(__version__, message="onnxdup %(version)s")
def app() -> None:
    """Find, merge and gate duplicate filters in ONNX models, and prove that the function is preserved."""


for module in (report, merge, shrink, sweep, evaluate, verify, compare, calibrate, check, doctor):
    app.add_command(module.command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit code and never raises."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    console = Console(arguments=tuple(given))
    try:
        code = app.main(given, "onnxdup", standalone_mode=False, obj=console)
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:  # the reader of our stdout (`| head`) has left: not our error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, click.Abort):
        console.error("interrupted")
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.format_message()}\n")
        return error.exit_code
    except Exception as error:
        if console.debug:
            traceback.print_exc()
        line, code = explain(error)
        console.error(line)
        return code


def explain(error: Exception) -> tuple[str, int]:
    """The line that stderr shows for an exception, and the exit code."""
    if isinstance(error, OnnxdupError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "onnxdup"
        return " ".join(f"{error.format_message()} (see {path} --help)".split()), 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", 2
    text = " ".join(str(error).split())[:300]
    if isinstance(error, MemoryError):
        return f"out of memory: {text or 'the model is too large for this machine'}", 5
    return f"bug in onnxdup: {type(error).__name__}: {text}; please report it with the output of --debug", 5
