"""How the arrays of a data set lie beside the inputs of a model: which axis counts the samples.

With an input of shape (B, …) an array of shape (samples, …) is *batched*; an array with one axis more than
the input is *stacked* (one whole input per sample, run one by one); an array that is exactly one input is
*constant* (given to every run: scalars, initial states).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum

from onnxdup.errors import InputError

Shape = tuple[int, ...]
Dims = Sequence[int | str | None]


class Layout(Enum):
    """The place of the sample axis in an array of a data set."""

    BATCHED = "batched"
    STACKED = "stacked"
    CONSTANT = "constant"


def fixed(dim: int | str | None) -> bool:
    """Whether a declared dimension is a size (names, 0, -1 and None are free)."""
    return isinstance(dim, int) and dim > 0


def compatible(shape: Shape, dims: Dims) -> bool:
    """Whether an array of `shape` may be fed where `dims` are declared."""
    return len(shape) == len(dims) and all(not fixed(d) or d == s for s, d in zip(shape, dims, strict=True))


def has_batch_axis(dims: Dims) -> bool:
    """Whether axis 0 can count samples: for rank 2 and more always, for rank 1 when free or of size 1."""
    return len(dims) > 1 or (len(dims) == 1 and (not fixed(dims[0]) or dims[0] == 1))


def count_samples(arrays: Mapping[str, Shape], inputs: Mapping[str, Dims | None]) -> int:
    """The number of samples in arrays without labels.

    An axis that cannot be anything else decides (stacked, or batched where the model's batch is free or
    differs); where every array is exactly one input, they are one batch.
    """
    candidates = [
        n for name, shape in arrays.items() if (n := _certain_count(shape, inputs[name])) is not None
    ]
    if candidates:
        return candidates[0]
    whole = [shape[0] for name, shape in arrays.items() if shape and has_batch_axis(inputs[name] or ())]
    return whole[0] if whole and len(set(whole)) == 1 else 1


def _certain_count(shape: Shape, dims: Dims | None) -> int | None:
    if dims is None:
        return shape[0] if shape else None
    if len(shape) == len(dims) + 1 and compatible(shape[1:], dims):
        return shape[0]
    if dims and len(shape) == len(dims) and has_batch_axis(dims) and compatible(shape[1:], dims[1:]):
        return None if shape[0] == dims[0] else shape[0]
    return None


def choose_layout(name: str, shape: Shape, dims: Dims | None, samples: int, *, file: object = None) -> Layout:
    """The layout of one array, or an `InputError` that says what the input takes."""
    if dims is None:
        return Layout.BATCHED if shape and shape[0] == samples else Layout.CONSTANT
    batched = bool(dims) and has_batch_axis(dims) and len(shape) == len(dims)
    if batched and shape[0] == samples and compatible(shape[1:], dims[1:]):
        return Layout.BATCHED
    if shape and shape[0] == samples and compatible(shape[1:], dims):
        return Layout.STACKED
    if compatible(shape, dims) and (not dims or fixed(dims[0])):
        return Layout.CONSTANT
    if batched and compatible(shape[1:], dims[1:]):
        raise InputError(
            f"{shape[0]} samples in this array, {samples} in the others",
            file=file,
            tensor=name,
            remedy="align them",
        )
    raise InputError(
        f"array of shape {_text(shape)} for an input of shape {_text(dims)}",
        file=file,
        tensor=name,
        remedy=_hint(shape, dims),
    )


def _hint(shape: Shape, dims: Dims) -> str:
    inner = dims[1:]
    if len(shape) == len(dims) == 4:
        for order in ((0, 3, 1, 2), (0, 2, 3, 1)):
            if compatible(tuple(shape[i] for i in order)[1:], inner):
                return f"the axes are in another order: transpose it by {order}"
    sizes = [d for d in inner if isinstance(d, int) and d > 0]
    if len(sizes) == len(inner) and math.prod(shape[1:]) == math.prod(sizes):
        return f"reshape it to {_text(('samples', *sizes))}"
    return f"give (samples, {', '.join(_dim(d) for d in inner)})" if dims else "give a scalar"


def _text(dims: Dims) -> str:
    return f"({', '.join(_dim(d) for d in dims)})"


def _dim(dim: int | str | None) -> str:
    return str(dim) if fixed(dim) or (isinstance(dim, str) and dim) else "?"
