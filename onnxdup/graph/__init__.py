"""The ONNX file: the document of record, its weights, edits through graphsurgeon, and the atomic writer.

The only importer of onnx, onnx_graphsurgeon, onnx_ir and protobuf. A model is opened as a `Document`
without reading its weights; an `Editor` collects changes and splices them into a copy; everything untouched
comes back byte for byte.
"""

from onnxdup.graph.bodies import Body
from onnxdup.graph.checks import MALFORMED, blamed, check
from onnxdup.graph.document import Document, Node
from onnxdup.graph.payloads import Lazy
from onnxdup.graph.protos import Opaque, Value
from onnxdup.graph.sources import load
from onnxdup.graph.text import parse
from onnxdup.graph.unfold import Unfolded, inner_shapes
from onnxdup.graph.weights import TensorInfo, WeightStore
from onnxdup.graph.writer import materialised, write

__all__ = [
    "MALFORMED",
    "Body",
    "Document",
    "Editor",
    "Lazy",
    "Node",
    "Opaque",
    "TensorInfo",
    "Unfolded",
    "Value",
    "WeightStore",
    "blamed",
    "check",
    "inner_shapes",
    "load",
    "materialised",
    "parse",
    "write",
]


def __getattr__(name: str) -> object:
    if name == "Editor":  # deferred: loads graphsurgeon
        from onnxdup.graph.edit import Editor

        return Editor
    raise AttributeError(f"module {__name__} has no attribute {name}")
