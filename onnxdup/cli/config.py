"""Configuration files: `onnxdup.toml`, or `[tool.onnxdup]` in pyproject.toml, of the nearest folder that has
one.

Keys are the long option names (`max-drop = 1.0`); a table named like a command holds keys for that command
alone. Precedence: command line > environment (`ONNXDUP_…`) > file > default.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from onnxdup.errors import UsageError


def apply(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """Callback of `--config`: makes the file's values the defaults of the running command."""
    found = (path, _read(path)) if path is not None else _discover(Path.cwd())
    if found is not None:
        file, table = found
        root = context.find_root().command
        commands = root.commands if isinstance(root, click.Group) else {}
        known = {name: _keys(command.params) for name, command in commands.items()}
        context.default_map = _defaults(table, context.info_name or "", known, file)


def _discover(start: Path) -> tuple[Path, Mapping[str, Any]] | None:
    for folder in (start, *start.parents):
        for name in ("onnxdup.toml", "pyproject.toml"):
            file = folder / name
            if file.is_file() and (name == "onnxdup.toml" or "onnxdup" in _toml(file).get("tool", {})):
                return file, _read(file)
    return None


def _read(path: Path) -> Mapping[str, Any]:
    table = _toml(path)
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("onnxdup", {})
    if not isinstance(table, dict):
        raise UsageError("tool.onnxdup is not a table", file=path)
    return table


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration cannot be read: {error.strerror}", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not valid TOML: {error}", file=path) from error


def _keys(parameters: Iterable[click.Parameter]) -> dict[str, click.Option]:
    """Option key as written in a file → option; config and debug cannot be configured."""
    options = [p for p in parameters if isinstance(p, click.Option) and p.name not in ("config", "debug")]
    return {max(o.opts, key=len).lstrip("-"): o for o in options}


def _defaults(
    table: Mapping[str, Any], command: str, known: Mapping[str, Mapping[str, click.Option]], file: Path
) -> dict[str, Any]:
    """click's default_map for `command`; UsageError for a key that no command knows."""
    everywhere = {key for keys in known.values() for key in keys}
    defaults: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and key in known:
            _refuse_unknown(value, known[key], file, f"{key}.")
        else:
            _refuse_unknown((key,), everywhere, file, "", also=known)
    own = known.get(command, {})
    section = table.get(command)
    for source in (table, section if isinstance(section, dict) else {}):
        defaults |= {
            str(own[k].name): _value(own[k], v)
            for k, v in source.items()
            if k in own and (not isinstance(v, dict) or getattr(own[k].type, "takes_tables", False))
        }
    return defaults


def _value(parameter: click.Option, value: Any) -> Any:
    return [value] if parameter.multiple and not isinstance(value, list) else value


def _refuse_unknown(
    keys: Iterable[str], known: Iterable[str], file: Path, prefix: str, also: Iterable[str] = ()
) -> None:
    choices = sorted(known)
    for key in keys:
        if key not in choices:
            near = difflib.get_close_matches(key, [*choices, *also], 1)
            remedy = f"did you mean {prefix}{near[0]}?" if near else f"known keys: {', '.join(choices)}"
            raise UsageError(f"unknown key {prefix}{key}", file=file, remedy=remedy)
