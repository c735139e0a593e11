"""Inputs made up from shapes, dtypes and sensible ranges, for models that come without data.

Free dimensions are chosen by role (batch, channels, spatial, sequence) and, since roles are guesses, by
trial: one candidate after another is run until onnxruntime accepts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxdup.errors import CannotVerify, UsageError
from onnxdup.evaluation.casting import family
from onnxdup.evaluation.fidelity import all_finite
from onnxdup.evaluation.layout import fixed, has_batch_axis
from onnxdup.evaluation.ranges import index_limit
from onnxdup.graph import Document, Value
from onnxdup.runtime import Session

_BATCH = re.compile(r"batch|^(n|b|bs)$|samples?_?count", re.I)
_SPATIAL = re.compile(r"height|width|^(h|w)$|size|rows|col", re.I)
_SEQUENCE = re.compile(r"seq|len|time|frame|token|^(t|l|s)$|step|samples", re.I)
_ANONYMOUS = re.compile(r"|\?|none|-1|unk__\d+|dim_?\d*|axis_?\d*", re.I)
_LENGTH = re.compile(r"len|size|count|num", re.I)
_MASK = re.compile(r"mask|valid", re.I)
_RATE = re.compile(r"^(sr|sample_?rate|sampling_?rate)$", re.I)

_SIZES: tuple[tuple[int, int], ...] = (  # (spatial, sequence), small first
    (64, 16),
    (32, 64),
    (128, 128),
    (224, 512),
    (256, 576),
    (320, 1024),
    (96, 1),
    (416, 1600),
    (512, 16000),
    (640, 4096),
    (16, 32),
    (28, 100),
    (1, 8),
)


@dataclass(frozen=True)
class InputPlan:
    """What is drawn for one input: floats from `distribution`, integers below `limit` (or `constant` where
    given).
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    distribution: str = "normal"
    limit: int | None = None
    constant: float | None = None

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One array of `shape` and `dtype`."""
        return np.asarray(self._values(rng)).astype(self.dtype)

    def _values(self, rng: np.random.Generator) -> np.ndarray:
        kind = family(self.dtype)
        if kind == "text":
            return np.full(self.shape, "a", dtype=object)
        if self.constant is not None:
            return np.full(self.shape, self.constant)
        if self.limit is not None:
            return rng.integers(0, self.limit, self.shape)
        if kind == "bool":
            return rng.integers(0, 2, self.shape)
        if kind == "int":
            return rng.integers(0, 256 if self.dtype == np.uint8 else 2, self.shape)
        return rng.standard_normal(self.shape) if self.distribution == "normal" else rng.random(self.shape)


@dataclass(frozen=True)
class Synthesis:
    """Shapes and ranges that a model runs with; `draw` makes feeds for one run. `batch` is the number of
    samples.
    """

    plans: tuple[InputPlan, ...]
    batch: int

    def draw(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Feeds for one run, the same for the same seed."""
        rng = np.random.default_rng(seed)
        return {plan.name: plan.draw(rng) for plan in self.plans}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every input."""
        return {plan.name: plan.shape for plan in self.plans}


def synthesise(
    document: Document, n: int = 2, seed: int = 0, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, np.ndarray]:
    """Feeds for one run of `n` samples (fewer where the model fixes its batch); see `plan_inputs`."""
    return plan_inputs(document, n, shapes).draw(seed)


def plan_inputs(
    document: Document,
    n: int = 2,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    *,
    session: Session | None = None,
) -> Synthesis:
    """Find shapes and ranges of inputs that onnxruntime accepts (and, where possible, that give finite
    outputs).

    `n` is tried for a free batch, then 1 and 2. `shapes` fixes inputs (and, through shared names, dimensions
    of others). `session` saves opening one. Raises `CannotVerify` with onnxruntime's last objection where
    nothing works, `UsageError` where `shapes` contradicts the model.
    """
    for value in document.inputs:
        if value.kind != "tensor" or value.dtype is None:
            raise CannotVerify(
                f"cannot make up a {value.kind} input",
                file=document.path,
                tensor=value.name,
                remedy="give data",
            )
    if session is None:
        with Session.open(document, provider="cpu") as own:
            return _search(document, own, n, dict(shapes or {}))
    return _search(document, session, n, dict(shapes or {}))


def _search(document: Document, session: Session, n: int, given: dict[str, tuple[int, ...]]) -> Synthesis:
    _check_given(document, given)
    objections: list[CannotVerify] = []
    for candidate in _candidates(document, n, given):
        try:
            finite = all_finite(session.run(candidate.draw()))
        except CannotVerify as error:
            objections.append(error)
            continue
        return candidate if finite else _positive(candidate, session)
    raise CannotVerify(
        f"no made-up inputs are accepted: {objections[0].what if objections else 'none fit'}",
        file=document.path,
        remedy="give --input-shape or --data",
    )


def _positive(candidate: Synthesis, session: Session) -> Synthesis:
    """The candidate with floats from [0, 1) where those give finite outputs and normal ones do not."""
    positive = replace(candidate, plans=tuple(replace(p, distribution="uniform") for p in candidate.plans))
    try:
        return positive if all_finite(session.run(positive.draw())) else candidate
    except CannotVerify:
        return candidate


def _candidates(document: Document, n: int, given: dict[str, tuple[int, ...]]) -> Iterator[Synthesis]:
    """Candidates without repeats: all sizes, each with the batches n, 1 and 2 (some exports bake one in)."""
    limits = {value.name: index_limit(document, value.name) for value in document.inputs}
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for sizes in _SIZES:
        for batch in dict.fromkeys((n, 1, 2)):
            shapes = _resolve(document.inputs, batch, sizes, given)
            if tuple(shapes.values()) in seen:
                continue
            seen.add(tuple(shapes.values()))
            plans = tuple(_plan(v, shapes[v.name], limits[v.name]) for v in document.inputs)
            yield Synthesis(plans, _batch_of(document.inputs, shapes))


def _resolve(
    inputs: tuple[Value, ...], batch: int, sizes: tuple[int, int], given: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """A shape for every input; a dimension name stands for one size throughout."""
    named = {
        str(dim): size
        for value in inputs
        for dim, size in zip(value.shape or (), given.get(value.name, ()), strict=False)
        if _name(dim)
    }
    shapes = {}
    for value in inputs:
        dims = value.shape if value.shape is not None else (None, None)
        shape = given.get(value.name) or tuple(
            named.get(_name(dim)) or _size(dims, axis, batch, sizes) for axis, dim in enumerate(dims)
        )
        named.update((_name(d), s) for d, s in zip(dims, shape, strict=True) if _name(d))
        shapes[value.name] = shape
    return shapes


def _name(dim: int | str | None) -> str:
    """The name of a dimension, '' for sizes and for names that mean nothing ('?', 'None', 'unk__12')."""
    return "" if not isinstance(dim, str) or _ANONYMOUS.fullmatch(dim) else dim


def _size(dims: tuple[int | str | None, ...], axis: int, batch: int, sizes: tuple[int, int]) -> int:
    """A size for one dimension by its name or its place."""
    dim, (spatial, sequence) = dims[axis], sizes
    if isinstance(dim, int) and dim > 0:
        return dim
    name = _name(dim)
    if _BATCH.search(name):
        return batch
    if name and _SEQUENCE.search(name):
        return sequence
    if axis == 0 or (
        axis == 1 and len(dims) == 3 and fixed(dims[0])
    ):  # recurrent states: (layers, batch, hidden)
        return batch
    if len(dims) >= 4:
        return 3 if axis == 1 and not fixed(dims[-1]) else spatial
    return spatial if _SPATIAL.search(name) and len(dims) > 2 else sequence


def _plan(value: Value, shape: tuple[int, ...], limit: int | None) -> InputPlan:
    assert value.dtype is not None
    plan = InputPlan(value.name, value.dtype, shape, limit=limit)
    if limit is not None or family(value.dtype) not in ("int", "float"):
        return plan
    if family(value.dtype) == "float":
        return replace(plan, distribution="uniform") if shape == () else plan
    if _RATE.search(value.name):
        return replace(plan, constant=16000)
    if _MASK.search(value.name) or _LENGTH.search(value.name):
        return replace(plan, constant=1)
    return plan


def _batch_of(inputs: tuple[Value, ...], shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Samples in one run: axis 0 of the first input that has a batch axis, else 1."""
    return next((shapes[v.name][0] for v in inputs if has_batch_axis(v.shape or ())), 1)


def _check_given(document: Document, given: Mapping[str, tuple[int, ...]]) -> None:
    known = {value.name: value.shape for value in document.inputs}
    for name, shape in given.items():
        if name not in known:
            raise UsageError(
                f"has no input {name!r}", file=document.path, remedy=f"it has {', '.join(known)}"
            )
        dims = known[name]
        clash = dims is not None and (
            len(dims) != len(shape) or any(fixed(d) and d != s for d, s in zip(dims, shape, strict=True))
        )
        if clash or any(s < 0 for s in shape):
            raise UsageError(
                f"shape {shape} for an input declared as {dims}",
                file=document.path,
                tensor=name,
                remedy="change it",
            )
