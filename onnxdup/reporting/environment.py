"""Document of `onnxdup doctor`: what is installed, what loads, what a GPU run would use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from onnxdup.reporting.schema import Tool
from onnxdup.reporting.view import Column, Line, Table, View

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class LibraryState:
    """A shared library of CUDA, and the loader's reason where it does not load."""

    name: str
    loads: bool
    problem: str


@dataclass(frozen=True)
class Problem:
    """Something wrong with this environment and the command that mends it."""

    what: str
    remedy: str


@dataclass(frozen=True)
class GpuState:
    """Whether a GPU run works: `placement` proves it, `problem` says why not and `remedy` what to do."""

    works: bool
    placement: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Environment:
    """Document of `onnxdup doctor`. `auto` is the provider that --provider auto takes."""

    schema: Literal["onnxdup/doctor"]
    schema_version: str
    tool: Tool
    python: str
    platform: str
    packages: Mapping[str, str]
    runtimes: tuple[str, ...]
    providers: tuple[str, ...]
    devices: tuple[str, ...]
    cuda: str
    driver: str
    libraries: tuple[LibraryState, ...]
    gpu: GpuState
    auto: str
    problems: tuple[Problem, ...]


def of_environment(found: Environment) -> View:
    """Versions, libraries, the GPU, and what is wrong."""
    rows = [
        ("onnxdup", found.tool.version),
        ("Python", f"{found.python}, {found.platform}"),
        *found.packages.items(),
        ("onnxruntime", ", ".join(found.runtimes) or "not installed"),
        ("providers", ", ".join(p.removesuffix("ExecutionProvider") for p in found.providers) or "none"),
        ("devices", ", ".join(found.devices) or "none listed"),
        ("built for CUDA", found.cuda or "no"),
        ("NVIDIA driver", found.driver or "none found"),
    ]
    tables = [Table((Column("what", right=False), Column("found", right=False)), tuple(rows))]
    if found.libraries:
        columns = (Column("library", right=False), Column("loads", right=False))
        states = tuple((x.name, "yes" if x.loads else f"no: {x.problem}") for x in found.libraries)
        tables.append(Table(columns, states))
    return (
        *tables,
        _gpu(found.gpu),
        Line(f"--provider auto takes the {found.auto}."),
        *map(_line, found.problems),
    )


def _gpu(state: GpuState) -> Line:
    if state.works:
        return Line(f"GPU: works ({state.placement}).", "good")
    return Line(f"GPU: not used: {state.problem}; {state.remedy}.", "quiet")


def _line(problem: Problem) -> Line:
    return Line(f"problem: {problem.what}; {problem.remedy}", "bad")
