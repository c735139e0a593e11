"""Data sets for a model: from an .npz, a folder of .npy, a Python function, or arrays in memory."""

from __future__ import annotations

import importlib
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxdup.errors import InputError, UsageError
from onnxdup.evaluation.casting import check_castable
from onnxdup.evaluation.layout import Layout, choose_layout, count_samples
from onnxdup.graph import Document, Value

_LABEL_NAMES = ("y", "labels", "label")
_DOTTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FORMS = "give an .npz, a folder of .npy files, or package.module:function"


@dataclass(frozen=True)
class Dataset:
    """Samples for the inputs of a model, labels where they are known.

    `inputs` has one array per model input, `layouts` says where the sample axis lies (see `layout`), `labels`
    is (samples,) of integers (or strings, for models that answer with them), `source` is for messages.
    """

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    source: str = "arrays"

    def layout(self, name: str) -> Layout:
        """The layout of an input's array; batched unless `layouts` says otherwise."""
        return self.layouts.get(name, Layout.BATCHED)

    def __len__(self) -> int:
        if self.labels is not None:
            return len(self.labels)
        varying = [len(a) for name, a in self.inputs.items() if self.layout(name) is not Layout.CONSTANT]
        return varying[0] if varying else 1

    def take(self, samples: int | None, seed: int = 0) -> Dataset:
        """At most `samples` samples, drawn without replacement by `seed` and kept in order."""
        if samples is None or samples >= len(self):
            return self
        if samples < 1:
            raise UsageError(f"{samples} samples asked for", remedy="ask for at least one")
        index = np.sort(np.random.default_rng(seed).choice(len(self), samples, replace=False))
        inputs = {k: a if self.layout(k) is Layout.CONSTANT else a[index] for k, a in self.inputs.items()}
        return replace(self, inputs=inputs, labels=None if self.labels is None else self.labels[index])


def load_data(spec: str | Path, document: Document) -> Dataset:
    """The data that `spec` names, checked against the inputs of `document`.

    `spec` is an .npz or a folder of .npy files with one array per input under its name (characters that file
    names lack read as ``_``; ``x`` where the model has one input) and labels in ``y``; or
    ``package.module:function``, called without arguments, which returns such arrays as a dict, a pair (x, y)
    or a `Dataset`.

    Raises `InputError` where data cannot be read or do not fit, `UsageError` where `spec` names nothing
    usable.
    """
    with _reading(spec) as arrays:
        return fit(arrays, document, source=str(spec))


def as_dataset(data: Any, document: Document) -> Dataset:
    """Any accepted form of data (a spec, a dict of arrays, a pair (x, y), a `Dataset`) as a checked
    `Dataset`.
    """
    if isinstance(data, str | Path):
        return load_data(data, document)
    return fit(_as_mapping(data, "data"), document, source=getattr(data, "source", "arrays"))


def fit(arrays: Mapping[str, Any], document: Document, *, source: str) -> Dataset:
    """Choose the array of each input and the labels, and check shapes and dtypes."""
    inputs = document.inputs
    label_name = next((n for n in _LABEL_NAMES if n in arrays and n not in {v.name for v in inputs}), None)
    labels = None if label_name is None else _labels(np.asarray(arrays[label_name]), label_name, source)
    chosen = {v.name: np.asarray(arrays[_find(v, inputs, arrays, label_name, source)]) for v in inputs}
    for value in inputs:
        check_castable(value.name, chosen[value.name].dtype, value.dtype, file=source)
    dims = {v.name: v.shape for v in inputs}
    shapes = {name: a.shape for name, a in chosen.items()}
    samples = len(labels) if labels is not None else count_samples(shapes, dims)
    layouts = {name: choose_layout(name, s, dims[name], samples, file=source) for name, s in shapes.items()}
    if samples == 0:
        raise InputError("no samples", file=source)
    return Dataset(chosen, labels, layouts, source)


def _find(
    value: Value, inputs: tuple[Value, ...], arrays: Mapping[str, Any], label_name: str | None, source: str
) -> str:
    if value.name in arrays:
        return value.name
    plain = {_plain(key): key for key in arrays if key != label_name}
    if _plain(value.name) in plain:
        return plain[_plain(value.name)]
    if len(inputs) == 1 and "x" in plain:
        return plain["x"]
    if len(inputs) == 1 and len(plain) == 1:
        return next(iter(plain.values()))
    raise InputError(
        f"no array for the input {value.name!r} among {', '.join(sorted(arrays)) or 'none'}",
        file=source,
        remedy="save one under that name" + (", or as x" if len(inputs) == 1 else ""),
    )


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _labels(labels: np.ndarray, name: str, source: str) -> np.ndarray:
    """Labels as (samples,): one-hot or score rows become the index of their largest entry."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and labels.dtype.kind in "iufb":
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise InputError(
            f"labels of shape {labels.shape}", file=source, tensor=name, remedy="give one per sample"
        )
    if labels.dtype.kind == "f":
        if not np.all(labels == np.floor(labels)):
            raise InputError(
                "labels are not whole numbers", file=source, tensor=name, remedy="give class indices"
            )
        labels = labels.astype(np.int64)
    return labels


@contextmanager
def _reading(spec: str | Path) -> Iterator[Mapping[str, Any]]:
    path = Path(spec)
    try:
        if path.is_dir():
            yield _folder(path)
        elif path.suffix == ".npy" and path.is_file():
            yield {"x": np.load(path, mmap_mode="r", allow_pickle=False)}
        elif path.suffix == ".npz" and path.is_file() and not zipfile.is_zipfile(path):
            raise InputError(
                "the data cannot be read: no .npz archive", file=spec, remedy="download it or save it again"
            )
        elif path.suffix == ".npz" and path.is_file():
            with np.load(path, allow_pickle=False) as arrays:
                yield arrays
        elif _DOTTED.fullmatch(str(spec)):
            yield _as_mapping(_call(str(spec)), str(spec))
        elif path.exists():
            raise UsageError("unknown kind of data", file=spec, remedy=_FORMS)
        else:
            raise InputError("no such data", file=spec, remedy=_FORMS)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"the data cannot be read: {error}", file=spec) from error
    except ValueError as error:
        pickled = "pickle" in str(error).lower()
        what = (
            "the data hold Python objects, which are not loaded"
            if pickled
            else f"the data cannot be read: {error}"
        )
        raise InputError(what, file=spec, remedy="save plain arrays" if pickled else None) from error


def _folder(path: Path) -> dict[str, np.ndarray]:
    arrays = {p.stem: np.load(p, mmap_mode="r", allow_pickle=False) for p in sorted(path.glob("*.npy"))}
    if not arrays:
        raise InputError("no .npy file in this folder", file=path, remedy=_FORMS)
    return arrays


def _call(spec: str) -> Any:
    module_name, _, function_name = spec.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"no such function: {error}", file=spec, remedy=_FORMS) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    try:
        return function()
    except Exception as error:
        raise InputError(f"the function raised {type(error).__name__}: {error}", file=spec) from error


def _as_mapping(data: Any, source: str) -> Mapping[str, Any]:
    if isinstance(data, Dataset):
        return {**data.inputs, **({} if data.labels is None else {"y": data.labels})}
    if isinstance(data, Mapping):
        inputs = data.get("inputs")
        return (
            {**inputs, **{k: v for k, v in data.items() if k != "inputs"}}
            if isinstance(inputs, Mapping)
            else data
        )
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        arrays = dict(x) if isinstance(x, Mapping) else {"x": x}
        return arrays if y is None else {**arrays, "y": y}
    if isinstance(data, np.ndarray):
        return {"x": data}
    raise UsageError(
        f"{type(data).__name__} is no data", file=source, remedy="return a dict of arrays or a pair (x, y)"
    )
