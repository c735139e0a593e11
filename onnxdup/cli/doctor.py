"""`onnxdup doctor`: versions, providers, libraries, and what a GPU run would use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from onnxdup.cli import options as opt
from onnxdup.errors import CannotVerify

if TYPE_CHECKING:
    from onnxdup.reporting.environment import Environment


@click.command("doctor")
@opt.provider
@opt.common_in("text", "json")
@click.pass_context
def command(context: click.Context, /, *, provider: str) -> int:
    """Versions, providers, CUDA libraries, what a GPU run would use.

    Exits 0, or 4 where --provider cuda demands a GPU that cannot be used.
    """
    from onnxdup.api.environment import examine
    from onnxdup.reporting import text
    from onnxdup.reporting.environment import of_environment

    found = examine()
    formats = {"text": lambda document: text.render(of_environment(document)), "json": _json}
    opt.console_of(context).emit(found, formats, of_environment, _of_suffix)
    if provider == "cuda" and not found.gpu.works:
        raise CannotVerify(f"a GPU run is not possible: {found.gpu.problem}", remedy=found.gpu.remedy)
    return 0


def _json(found: Environment) -> str:
    from onnxdup.reporting import codec

    return codec.to_json(found)


def _of_suffix(path: Path) -> str:
    return "json" if path.suffix.lower() == ".json" else "text"
