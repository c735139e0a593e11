"""Casting data to the dtype of an input: only where no value changes beyond rounding."""

from __future__ import annotations

import numpy as np

from onnxdup.errors import InputError

_FAMILIES = {
    "b": "bool",
    "i": "int",
    "u": "int",
    "f": "float",
    "V": "float",
    "O": "text",
    "U": "text",
    "S": "text",
}


def family(dtype: np.dtype) -> str:
    """'bool', 'int', 'float' (bfloat16 and float8 as well), 'text' or 'other'."""
    return _FAMILIES.get(dtype.kind, "other")


def check_castable(name: str, have: np.dtype, want: np.dtype | None, *, file: object = None) -> None:
    """Refuse pairs of dtypes between which no cast makes sense, before any data are read."""
    if want is None or have == want:
        return
    source, target = family(have), family(want)
    if "other" in (source, target) or (source == "text") != (target == "text"):
        raise InputError(
            f"array of {have} for an input of {want}", file=file, tensor=name, remedy=f"save it as {want}"
        )


def cast(name: str, array: np.ndarray, want: np.dtype | None, *, file: object = None) -> np.ndarray:
    """`array` as `want`; floats round, everything else must keep its value exactly."""
    if want is None or array.dtype == want:
        return array
    check_castable(name, array.dtype, want, file=file)
    with np.errstate(all="ignore"):
        result = array.astype(want)
    if _kept(array, result):
        return result
    raise InputError(
        f"values of the {array.dtype} array do not fit {want}",
        file=file,
        tensor=name,
        remedy=f"save it as {want}",
    )


def _kept(before: np.ndarray, after: np.ndarray) -> bool:
    if family(after.dtype) == "text":
        return True
    if family(after.dtype) == "float":
        as_float = after.astype(np.float64)
        return bool(np.all(np.isfinite(as_float) | ~np.isfinite(before.astype(np.float64))))
    return bool(np.all(before == after))
