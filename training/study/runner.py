"""Run the cells of a study that are not done, in this process or on Dask, then write tables and page."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import ConfigError, TrainingError
from training.study import tables
from training.study.base import Cell, Results, Study, Tables
from training.study.lab import Lab
from training.study.page import Page
from training.study.settings import NAMES, Settings

Say = Callable[[str], None]
_ONE_AT_A_TIME = threading.Lock()
"""Seeds and exporters of torch belong to a process, not to a thread of a Dask worker."""


@dataclass(frozen=True)
class Place:
    """Where cells run: `workers` local processes (1: this one), or the Dask scheduler at an address."""

    workers: int = 1
    scheduler: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its tables, or one line about why there are none."""

    key: str
    tables: Tables
    failure: str = ""


def find(name: str) -> Study:
    """The study called `name`, from its file in training/studies/."""
    if name not in NAMES:
        raise ConfigError(f"the study is {name}, but must be one of {', '.join(NAMES)}")
    study = importlib.import_module(f"training.studies.{name.replace('-', '_')}").STUDY
    assert isinstance(study, Study)
    return study


def conduct(name: str, settings: Settings, lab: Lab, place: Place, say: Say, command: str = "") -> Path:
    """Do what is not done of a study and write its page; returns the page's path.

    A cell that fails does not stop the others: at the end, one `TrainingError` names those that failed, and
    the next call tries them again.
    """
    study = find(name)
    cells = settings.cells(study.columns)
    folder = lab.out / name
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    (lab.out / "data").mkdir(exist_ok=True)
    missing = [cell for cell in cells if not _file(folder, cell.key).is_file()]
    say(f"{name}: {len(cells)} cells, {len(cells) - len(missing)} of them done before")
    failures = []
    for outcome in _outcomes(name, missing, lab, place):
        if outcome.failure:
            failures.append(f"{outcome.key}: {outcome.failure}")
        else:
            _save(folder, outcome)
        say(f"{outcome.key}: {outcome.failure or 'done'}")
    page = write_page(study, settings, lab, command)
    if failures:
        raise TrainingError(f"{len(failures)} of {len(cells)} cells failed, first {failures[0]}")
    return page


def write_page(study: Study, settings: Settings, lab: Lab, command: str = "") -> Path:
    """Tables, figures and page of the cells that are done. Raises `TrainingError` when none is."""
    folder = lab.out / study.name
    cells = settings.cells(study.columns)
    done = [cell for cell in cells if _file(folder, cell.key).is_file()]
    if not done:
        raise TrainingError(f"{study.name}: no cell is done, so there is nothing to show")
    whole = tables.concatenate(_load(_file(folder, cell.key)) for cell in done)
    tables.write(folder, whole)
    page = Page(folder, study.title)
    page.text(*_provenance(settings, f"{len(done)} of {len(cells)}", command))
    study.write(page, Results(done, whole, lab, dict(settings.options)))
    return page.write()


def _provenance(settings: Settings, done: str, command: str) -> list[str]:
    """How the results were made, in words."""
    varied = {key for table in settings.grid for key in table}
    fixed = ", ".join(f"{key} {value}" for key, value in settings.base.items() if key not in varied)
    seeds = ", ".join(str(seed) for seed in settings.seeds[:10]) + (" …" if len(settings.seeds) > 10 else "")
    lines = [f"{done} cells; seeds {seeds}. Common to all runs: {fixed}."]
    if command:
        lines.insert(0, f"Made by `{command}`. Numbers in brackets are the smallest and largest over seeds.")
    return lines


def work(name: str, cell: Cell, lab: Lab) -> Outcome:
    """Do one cell, here or on a worker; an expected error becomes its failure."""
    (lab.out / "data").mkdir(parents=True, exist_ok=True)
    try:
        with _ONE_AT_A_TIME:
            return Outcome(cell.key, find(name).measure(cell, lab))
    except TrainingError as error:
        return Outcome(cell.key, {}, " ".join(str(error).split()))


def _outcomes(name: str, cells: Sequence[Cell], lab: Lab, place: Place) -> Iterator[Outcome]:
    """The outcomes of the cells as they come."""
    if not cells:
        return
    if place.workers == 1 and not place.scheduler:
        yield from (work(name, cell, lab) for cell in cells)
        return
    with dask_client(place) as client:
        from distributed import as_completed

        futures = [client.submit(work, name, cell, lab, key=f"{name}-{cell.key}") for cell in cells]
        for _, outcome in as_completed(futures, with_results=True, loop=client.loop):
            yield outcome


def dask_client(place: Place) -> Any:
    """A client of the scheduler, or of a cluster of local processes of one thread each."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ConfigError(
            "dask.distributed is not installed, so only --workers 1 works; pip install '.[study]'"
        ) from None
    local = {"n_workers": place.workers, "threads_per_worker": 1, "dashboard_address": None}
    if not place.scheduler:
        return Client(**local, set_as_default=False)
    try:
        return Client(place.scheduler, set_as_default=False, timeout=20)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--scheduler {place.scheduler} does not answer ({type(error).__name__})") from None


def _file(folder: Path, key: str) -> Path:
    return folder / "cells" / f"{key}.json"


def _save(folder: Path, outcome: Outcome) -> None:
    path = _file(folder, outcome.key)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(outcome.tables, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def _load(path: Path) -> Tables:
    return dict(json.loads(path.read_text(encoding="utf-8")))
