"""``python -m training study``: the options, and what they call."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.errors import ConfigError
from training.study.settings import FOLDER, NAMES, load_settings


def study(
    name: Annotated[
        str, typer.Argument(help=f"One or more with commas: {', '.join(NAMES)}.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of runs and results; it may hold several studies.")
    ],
    quick: Annotated[bool, typer.Option("--quick", help="The size for two CPU cores.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration. (default: training/studies/NAME.toml)", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0 … N-1; 0: as the configuration says.")] = 0,
    workers: Annotated[int, typer.Option(help="Local processes; 1 works without Dask; 0: one per core.")] = 0,
    scheduler: Annotated[
        str, typer.Option(help="Address of a Dask scheduler, as tcp://host:8786, instead of local processes.")
    ] = "",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the data files; downloads go there. (default: ~/.cache/onnxdup-training)",
            show_default=False,
        ),
    ] = None,
    page_only: Annotated[
        bool, typer.Option("--page-only", help="Write tables and page of the cells that are done.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")] = False,
) -> None:
    """Train the runs of a study, measure them with onnxdup, and write tables, figures and a page.

    Finished cells are not done again, interrupted runs go on from their last epoch, and studies with one
    folder share their runs. OUT/NAME/README.md is the page.
    """
    from training.study import runner
    from training.study.lab import Lab

    _require_matplotlib()
    console = Console(stderr=True, quiet=quiet)
    lab = Lab(out.resolve(), data_dir.resolve() if data_dir else None)
    place = runner.Place(workers or os.cpu_count() or 1, scheduler)
    for each in name.split(","):
        found = runner.find(each)
        path = config or FOLDER / f"{each.replace('-', '_')}.toml"
        settings = load_settings(path, quick=quick, seeds=seeds)
        command = _command(each, quick, config, seeds)
        if page_only:
            page = runner.write_page(found, settings, lab, command)
        else:
            page = runner.conduct(each, settings, lab, place, lambda line: _say(console, line), command)
        _say(console, str(page))


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _command(name: str, quick: bool, config: Path | None, seeds: int) -> str:
    """The command that gives the same page, less what only says where."""
    parts = ["python", "-m", "training", "study", name, "--out", "OUT"]
    parts += ["--quick"] if quick else []
    parts += ["--config", config.name] if config else []
    parts += ["--seeds", str(seeds)] if seeds else []
    return shlex.join(parts)


def _require_matplotlib() -> None:
    from importlib.util import find_spec

    if "matplotlib" not in sys.modules and find_spec("matplotlib") is None:
        raise ConfigError("matplotlib is not installed, and a study draws figures; pip install '.[study]'")
