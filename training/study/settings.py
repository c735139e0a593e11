"""The TOML file of a study: base configuration, grid, seeds and options; and the cells these make.

seeds = 5                # seeds 0 … 4, or a list of seeds
[base]                   # a TrainConfig; sizes are written as on the command line
data = "cifar10"
[[grid]]                 # every list is an axis; tables are done one after the other
widths = ["100,100", "500,100"]
dropout = [0.0, 0.5]
[options]                # whatever the study reads
[quick]                  # the same keys, put over the others by --quick
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.config import TrainConfig, parse_sizes
from training.errors import ConfigError, DataError
from training.study.base import Cell, Value

FOLDER = Path(__file__).resolve().parent.parent / "studies"
"""Where the studies and their configurations lie."""
NAMES = tuple(sorted(path.stem.replace("_", "-") for path in FOLDER.glob("*.toml")))
"""The studies there are."""
_SIZES = ("widths", "fc", "kernel")
_FIELDS = {f.name: f for f in dataclasses.fields(TrainConfig)}
_KEYS = {"seeds", "base", "grid", "options"}
_PLACE = ("device", "threads")
"""Fields that say where a run is computed, not what."""


@dataclass(frozen=True)
class Settings:
    """A study's configuration."""

    seeds: tuple[int, ...] = (0,)
    base: dict[str, Any] = field(default_factory=dict)
    grid: tuple[dict[str, Any], ...] = ({},)
    options: dict[str, Any] = field(default_factory=dict)

    def cells(self, columns: Sequence[str] = ()) -> list[Cell]:
        """The grid multiplied out, by seeds last; `columns` are axes even where they do not vary.

        Raises `ConfigError` for values that no run can have.
        """
        axes = list(dict.fromkeys([*columns, *self.axes()]))
        points = list(_points(self.grid))
        found = [self._cell(point, seed, axes) for point in points for seed in _seeds(point, self.seeds)]
        unique = {cell.key: cell for cell in found}
        return list(unique.values())

    def _cell(self, point: dict[str, Value], seed: int, names: Sequence[str]) -> Cell:
        values = {**self.base, **point, "seed": seed}
        options = {**self.options, **{k: v for k, v in values.items() if k not in _FIELDS}}
        config = _config({k: v for k, v in values.items() if k in _FIELDS})
        axes = {name: point.get(name, _shown(getattr(config, name, None))) for name in names}
        return Cell(_cell_key(config, axes, options), config, axes, options)

    def axes(self) -> list[str]:
        """The names of the lists in the grid, and data and model where there are several, in order."""
        names = dict.fromkeys(name for table in self.grid for name in table)
        listed = {name for table in self.grid for name, value in table.items() if isinstance(value, list)}
        several = {
            name
            for name in ("data", "model")
            if len({table.get(name, self.base.get(name)) for table in self.grid}) > 1
        }
        return [name for name in names if name in listed | several and name != "seed"]


def _seeds(point: Mapping[str, Any], seeds: Sequence[int]) -> Sequence[int]:
    """A seed in the grid stands for all others."""
    return (point["seed"],) if "seed" in point else seeds


def load_settings(path: Path, *, quick: bool = False, seeds: int = 0) -> Settings:
    """The settings in a TOML file; `quick` puts its [quick] table over the others, `seeds` overrides its own.

    Raises `DataError` when the file cannot be read, `ConfigError` for what is wrong in it.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    try:
        over = values.pop("quick", {})
        return _settings(_merged(values, over) if quick else values, seeds)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: {**values[key], **over[key]} for key in ("base", "options") if {key} <= set(values) & set(over)
    }
    return {**values, **over, **both}


def _settings(values: Mapping[str, Any], seeds: int) -> Settings:
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        raise ConfigError(f"unknown: {', '.join(unknown)}; a study has {', '.join(sorted(_KEYS))}")
    given = seeds or values.get("seeds", 1)
    if not (isinstance(given, int) and given >= 1) and not _are_seeds(given):
        raise ConfigError(f"seeds is {given}, but must be a number of seeds or a list of them")
    grid = values.get("grid", [{}])
    if not isinstance(grid, list) or not grid or not all(isinstance(table, dict) for table in grid):
        raise ConfigError("grid must be one or more [[grid]] tables")
    base = values.get("base", {})
    unknown = sorted(set(base) - set(_FIELDS))
    if unknown:
        raise ConfigError(f"unknown in [base]: {', '.join(unknown)}")
    numbers = range(given) if isinstance(given, int) else given
    return Settings(tuple(numbers), dict(base), tuple(grid), dict(values.get("options", {})))


def _are_seeds(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(s, int) and s >= 0 for s in given)


def _points(grid: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Value]]:
    for table in grid:
        axes = [value if isinstance(value, list) else [value] for value in table.values()]
        for point in itertools.product(*axes):
            yield dict(zip(table, point, strict=True))


def _config(values: Mapping[str, Any]) -> TrainConfig:
    """A run on one CPU thread unless told otherwise: cells run beside each other."""
    parsed = {k: parse_sizes(str(v), k) if k in _SIZES else v for k, v in values.items()}
    try:
        return TrainConfig(**{"threads": 1, **parsed})
    except TypeError as error:
        raise ConfigError(f"a value has the wrong type: {error}") from None


def _shown(value: Any) -> Value:
    """A value of a configuration as it is written in the TOML file."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def run_key(config: TrainConfig, extra: Sequence[int] = ()) -> str:
    """The folder of a run: what differs from the defaults, readable, then a digest of it.

    Device and threads are left out. `extra` are the steps whose checkpoints are kept.
    """
    chosen = {
        name: getattr(config, name)
        for name, f in _FIELDS.items()
        if name not in _PLACE and getattr(config, name) != f.default
    }
    words = [
        f"{config.data}-{config.model}",
        *(_slug(k, v) for k, v in chosen.items() if k not in ("data", "model")),
    ]
    return "_".join(words)[:80] + "_" + _digest([chosen, list(extra)])


def _slug(name: str, value: Any) -> str:
    text = "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"{name.replace('_', '')}{text}"


def _cell_key(config: TrainConfig, axes: Mapping[str, Value], options: Mapping[str, Any]) -> str:
    words = [str(value).replace(",", "-") for value in axes.values()]
    return "_".join([*words, f"s{config.seed}", _digest([run_key(config), dict(axes), dict(options)])])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
