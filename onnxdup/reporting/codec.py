"""Frozen dataclasses ↔ plain JSON values, and the JSON Schema of a dataclass.

The field types are the schema; there is no second description to keep in step. Supported types: `int`,
`float`, `str`, `bool`, `Literal[...]`, `X | None`, `tuple[X, ...]`, `Mapping[str, X]` and other dataclasses.
Numbers that JSON cannot say (NaN, ±inf) become null, so every `float` field may read back as NaN.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from onnxdup.errors import InputError

T = TypeVar("T")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAJOR = "1"
"""The major version of the documents that are read."""
_SCALARS: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},
    str: {"type": "string"},
}


def to_json(document: Any) -> str:
    """JSON text of a dataclass tree: fields in the order of the class, two-space indent."""
    return json.dumps(to_dict(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, documents: Mapping[str, type[T]], wrong: str) -> T:
    """The document of a JSON text, of the class in `documents` that its field `schema` names.

    InputError where the text is not JSON, where it is none of them (`wrong` says so), and where it is of
    another major version.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError(f"not JSON: {error}") from error
    name = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(name, str) or name not in documents:
        raise InputError(wrong)
    version = str(data.get("schema_version"))
    if version.partition(".")[0] != MAJOR:
        raise InputError(f"schema version {version} is not supported", remedy=f"this onnxdup reads {MAJOR}.x")
    return from_dict(documents[name], data)


def to_dict(value: Any) -> Any:
    """Plain JSON value (dict, list, str, int, float, bool, None) of a dataclass tree; non-finite floats are
    None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_dict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_dict(v) for v in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return float(value) if math.isfinite(value) else None


def from_dict(cls: type[T], data: Any, *, where: str = "") -> T:
    """The dataclass `cls` of a JSON value; fields with defaults may be missing. InputError names the wrong
    field.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"expected an object, found {type(data).__name__}", tensor=where or None)
    hints, values = type_hints(cls), {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        here = f"{where}.{field.name}".lstrip(".")
        if field.name in data:
            values[field.name] = _decode(hints[field.name], data[field.name], here)
        elif not _has_default(field):
            raise InputError(
                f"the report lacks the field {here}", remedy="was it written by another version?"
            )
    return cls(**values)


def json_schema(cls: type[Any], *, title: str, identifier: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `cls`, one `$defs` entry per dataclass; unknown keys are refused."""
    definitions: dict[str, Any] = {}
    root = _schema_of(cls, definitions)
    return {
        "$schema": DIALECT,
        "$id": identifier,
        "title": title,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def type_hints(cls: Any) -> dict[str, Any]:
    """Resolved field types of a dataclass."""
    return typing.get_type_hints(cls)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _decode(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in args if a is not type(None))
        return None if value is None else _decode(inner, value, where)
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast("type[Any]", hint), value, where=where)
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        return {str(k): _decode(args[1], v, f"{where}.{k}") for k, v in value.items()}
    return _decode_scalar(hint, value, where)


def _decode_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and (value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))):
        return math.nan if value is None else float(value)
    if typing.get_origin(hint) is Literal:
        if value in typing.get_args(hint):
            return value
    elif hint in _SCALARS and type(value) is hint:
        return value
    raise InputError(f"the field {where} holds {value!r}, which is not {_name(hint)}")


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint))


def _schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    if origin is Literal:
        return {"const": args[0]} if len(args) == 1 else {"enum": list(args)}
    if origin in (types.UnionType, typing.Union):
        inner = next(a for a in args if a is not type(None))
        return {"anyOf": [_schema_of(inner, definitions), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(args[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema_of(args[1], definitions)}
    return _reference(hint, definitions)


def _reference(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = {}
        hints = type_hints(cls)
        names = [f.name for f in dataclasses.fields(cls)]
        definitions[cls.__name__] = {
            "type": "object",
            "description": " ".join((cls.__doc__ or "").split()),
            "properties": {n: _schema_of(hints[n], definitions) for n in names},
            "required": names,
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{cls.__name__}"}
