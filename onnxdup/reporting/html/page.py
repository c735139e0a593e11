"""`render`: portraits become one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from onnxdup.reporting.html import tables
from onnxdup.reporting.html.parts import model_part
from onnxdup.reporting.html.words import GLOSSARY
from onnxdup.reporting.needs import needs
from onnxdup.reporting.plots.palette import DARK, LIGHT, variables
from onnxdup.reporting.portrait import Portrait
from onnxdup.reporting.runs import TOOL
from onnxdup.reporting.schema import Failure
from onnxdup.reporting.view import Table

if TYPE_CHECKING:
    from jinja2 import Environment


def render(portraits: Sequence[Portrait], failures: Sequence[Failure] = ()) -> str:
    """HTML with style, script and pictures inside; it asks the network for nothing.

    Raises `UsageError` where Jinja2 or matplotlib is missing.
    """
    needs("an HTML report", "jinja2", "matplotlib")
    models = [model_part(portrait, f"m{k}") for k, portrait in enumerate(portraits, 1)]
    page = _environment().get_template("page.html.j2").render(
        models=models,
        overview=tables.models(portraits, [m.id for m in models], [m.title for m in models]),
        tau=portraits[0].tau if portraits else 1.0,
        failures=failures,
        glossary=GLOSSARY,
        tool=TOOL,
        level=1 if len(models) == 1 else 2,
        light=variables(LIGHT),
        dark=variables(DARK),
        style=_text("style.css"),
        script=_text("script.js"),
    )  # fmt: skip
    lines = (line.strip().replace(" %", "\N{NO-BREAK SPACE}%") for line in page.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _environment() -> Environment:
    from jinja2 import DictLoader, Environment, StrictUndefined

    templates = {name: _text(name) for name in ("page.html.j2", "model.html.j2", "macros.html.j2")}
    environment = Environment(
        loader=DictLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["table"] = lambda block: isinstance(block, Table)
    return environment


def _text(name: str) -> str:
    return files("onnxdup.reporting.html").joinpath(name).read_text(encoding="utf-8")
