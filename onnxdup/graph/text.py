"""Models written as ONNX text, for tests and documentation."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import parser

from onnxdup.errors import InputError
from onnxdup.graph.document import Document
from onnxdup.graph.sources import load
from onnxdup.graph.tensors import data_type_of, encode

_HEADER = '<ir_version: 10, opset_import: ["" : 20]>\n'


def parse(text: str, **tensors: Any) -> Document:
    """Document of a model in ONNX text, with one initializer per keyword.

    Text without the leading ``<ir_version: ..., opset_import: [...]>`` gets IR version 10 and opset 20.
    InputError when the text is invalid.
    """
    full = text if text.lstrip().startswith("<") else _HEADER + text
    try:
        model = parser.parse_model(full)
    except parser.ParseError as error:
        raise InputError(f"invalid ONNX text: {error}") from None
    for name, values in tensors.items():
        array = np.asarray(values)
        tensor = model.graph.initializer.add(name=name, dims=array.shape, data_type=data_type_of(array.dtype))
        if array.dtype == object or array.dtype.kind == "U":
            tensor.string_data.extend(str(s).encode() for s in array.reshape(-1))
        else:
            tensor.raw_data = bytes(encode(array))
    return load(model)
