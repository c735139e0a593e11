"""Which layers of a model are cut, and which models are seeds of one another: families.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

CONFIG = Path(__file__).with_name("families.toml")
_SEED = re.compile(r"_s(\d+)(?=_|$)")


@dataclass(frozen=True)
class Subject:
    """A model file: `row` is its name without the seed, `include` the patterns of the layers to cut."""

    path: Path
    row: str
    seed: int
    include: tuple[str, ...]


def subject(path: Path, config: Path = CONFIG) -> Subject:
    """The subject of a model file; seed 0 where the name has no `_sN`. ValueError for an unknown family."""
    families = tomllib.loads(config.read_text(encoding="utf-8"))["family"]
    stem = path.stem
    include = next((f["include"] for f in families if any(fnmatchcase(stem, m) for m in f["match"])), None)
    if include is None:
        raise ValueError(f"{path}: no family in {config} matches {stem}; add one")
    found = _SEED.search(stem)
    return Subject(path, _SEED.sub("", stem), int(found[1]) if found else 0, tuple(include))
