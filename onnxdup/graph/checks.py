"""The ONNX checker on a model whose weights stay on disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import Error as ProtobufError
from onnx import checker, shape_inference

from onnxdup.errors import InputError
from onnxdup.graph.document import Document
from onnxdup.graph.shapes import light_model
from onnxdup.graph.sources import load

MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, StopIteration, TypeError, ValueError),
    *(ImportError, AssertionError, RecursionError),
)
"""What code for valid graphs meets in invalid ones: attributes missing or of another type, shapes that do
not fit.
"""


@contextlib.contextmanager
def blamed(document: Document) -> Iterator[None]:
    """InputError instead of an unexpected error where the checker finds the model invalid."""
    try:
        yield
    except MALFORMED:
        check(document)
        raise


def check(document: Document | str | os.PathLike[str]) -> None:
    """Run the ONNX checker with full type and shape checks. InputError (one line) when the model is invalid.

    That weights have the bytes their shapes need was checked on loading; the checker sees the large ones
    as inputs.
    """
    if not isinstance(document, Document):
        document = load(Path(document))
    model = light_model(document)
    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise InputError(f"is not a valid ONNX model: {_first(error)}", file=document.origin) from None
    except ProtobufError as error:
        raise InputError(f"cannot be checked: {error}", file=document.origin) from None


def _first(error: Exception) -> str:
    """The informative part of a checker message: everything before the context dump."""
    text = str(error).split("==> Context")[0]
    return " ".join(text.split())[:400]
