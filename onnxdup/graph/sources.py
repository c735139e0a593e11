"""Opening a model: from a path, a ModelProto, a graphsurgeon graph or an onnx_ir model."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError, EncodeError
from onnx import ModelProto, TensorProto, helper

from onnxdup.errors import InputError, UsageError
from onnxdup.graph import wire
from onnxdup.graph.document import Document, Source
from onnxdup.graph.external import DataFiles, external_tensors, map_file, stamp
from onnxdup.graph.payloads import Stored
from onnxdup.graph.protos import names_are_text
from onnxdup.graph.serial import PROTOBUF_LIMIT

_FOREIGN = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the model", "run 'git lfs pull'"),
    (b"<!doctype html", "is an HTML page, not a model", "download the raw file"),
    (b"<html", "is an HTML page, not a model", "download the raw file"),
    (b"<?xml", "is an XML document, not a model", "download the raw file"),
    (b"pk\x03\x04", "is a zip archive, not a model", "unpack it"),
    (b"\x1f\x8b", "is a gzip archive, not a model", "unpack it"),
)
_DAMAGED = "the file is damaged: download or export it again"
_SPLIT = "export it with external data"
_GRAPHSURGEON_IR = 10
_TOP_FIELDS = {*range(1, 9), 14, 20, 25, 26}


def load(source: Any, *, allow_linked_data: bool = False) -> Document:
    """Open a model without reading its weights.

    `source`: path, `onnx.ModelProto`, `onnx_graphsurgeon.Graph` or `onnx_ir.Model`; none is changed. A
    `Document` is returned as it is.
    `allow_linked_data`: follow links to external data outside the model's directory.
    InputError (one line) when it is no model, is damaged, or its external data is missing or elsewhere.
    """
    if isinstance(source, Document):
        return source
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(source), allow_linked_data)
    if isinstance(source, ModelProto):
        return from_bytes(_serialized(source))
    package = type(source).__module__.partition(".")[0]
    if package == "onnx_graphsurgeon":
        return from_bytes(_serialized(_from_graphsurgeon(source)))
    if package == "onnx_ir":
        return _from_ir(source, allow_linked_data)
    raise UsageError(
        f"cannot load a model from {type(source).__name__}",
        remedy="give a path, an onnx.ModelProto, an onnx_graphsurgeon.Graph or an onnx_ir.Model",
    )


def from_bytes(data: bytes, files: DataFiles | None = None) -> Document:
    """Document of a serialized model in memory."""
    return _open(Source(data), files or DataFiles(None))


def _from_path(path: Path, allow_linked: bool) -> Document:
    if not path.exists():
        raise InputError("does not exist", file=path, remedy="check the path")
    if path.is_dir():
        raise InputError("is a directory", file=path, remedy="name the .onnx file in it")
    data = map_file(path)
    _refuse_foreign(data, path)
    if len(data) > PROTOBUF_LIMIT:
        raise InputError("is larger than 2 GiB, the limit of protobuf", file=path, remedy=_SPLIT)
    return _open(Source(data, path, stamp(path)), DataFiles(path, allow_linked))


def _refuse_foreign(data: bytes | mmap.mmap, path: Path) -> None:
    if not len(data):
        raise InputError("is empty", file=path, remedy="download or export it again")
    head = bytes(data[:256]).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, what, remedy in _FOREIGN:
        if head.startswith(magic):
            raise InputError(what, file=path, remedy=remedy)


def _open(source: Source, files: DataFiles) -> Document:
    try:
        model, spans = _parse(source)
        if not model.HasField("graph"):
            raise InputError("contains no graph", remedy="it is not an ONNX model, or is damaged")
        if not names_are_text(model.graph):
            raise InputError("has a name that is not UTF-8", remedy=_DAMAGED)
        storage = {wire.RAW_DATA: "raw"}
        payloads = {
            name: Stored(source.data, s.offset, s.length, storage.get(s.field, "typed"), s.field)
            for name, s in spans.items()
        }
        document = Document(model, payloads, files, source)
        _refuse_redefinition(model)
        for tensor in external_tensors(model):
            files.payload(tensor)
    except InputError as error:
        if error.file is None and source.path is not None:
            raise _located(error, source.path) from None
        raise
    return document


def _refuse_redefinition(model: ModelProto) -> None:
    """InputError where two nodes make a value of one name, or a node makes an input or an initializer."""
    graph = model.graph
    made = {v.name for values in (graph.input, graph.initializer) for v in values}
    for node in graph.node:
        for name in filter(None, node.output):
            if name in made:
                raise InputError(f"{name} is defined twice", node=node.name, remedy="the file is invalid")
            made.add(name)


def _located(error: InputError, path: Path) -> InputError:
    return InputError(error.what, file=path, node=error.node, tensor=error.tensor, remedy=error.remedy)


def _parse(source: Source) -> tuple[ModelProto, dict[str, wire.Span]]:
    """Skeleton and spans; the whole model and no spans where the skeleton reader gives up."""
    data, odd = source.data, None
    try:
        light = wire.skeleton(data)
        return ModelProto.FromString(light.data), light.spans
    except wire.TooMany:
        raise InputError(f"has more than {wire.MAX_ENTRIES} nodes and tensors") from None
    except (wire.Odd, DecodeError) as error:
        odd = error
    try:
        return ModelProto.FromString(bytes(data[:])), {}
    except DecodeError:
        raise _unreadable(data, odd) from None


def _unreadable(data: Any, odd: Exception) -> InputError:
    known = len(data) > 1 and data[0] >> 3 in _TOP_FIELDS
    if isinstance(odd, wire.Truncated) and known and data[0] & 7 in (0, 2):
        return InputError(
            "is truncated", remedy=f"at least {odd.missing} bytes are missing: download it again"
        )
    return InputError("is not an ONNX model", remedy="the bytes are not a serialized ModelProto")


def _serialized(model: ModelProto) -> bytes:
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except (EncodeError, ValueError):
        raise InputError(
            "the model in memory is larger than 2 GiB, the limit of protobuf",
            remedy="save it with external data and load the file",
        ) from None


def _from_graphsurgeon(graph: Any) -> ModelProto:
    import onnx_graphsurgeon

    with _unchanged(graph):
        try:
            model: ModelProto = onnx_graphsurgeon.export_onnx(graph, do_type_check=False)
        except (ValueError, TypeError, RuntimeError, AssertionError, AttributeError, NameError) as error:
            raise InputError(f"graphsurgeon cannot export this graph: {error}") from None
    if graph.ir_version is None:  # else the newest of all, which no runtime reads
        model.ir_version = max(_GRAPHSURGEON_IR, helper.find_min_ir_version_for(list(model.opset_import)))
    return model


@contextlib.contextmanager
def _unchanged(graph: Any) -> Iterator[None]:
    """Undo what an export changes in its source: added opset imports, names of tensors not yet read."""
    owners = [graph, *graph.functions]
    domains = [None if o.import_domains is None else list(o.import_domains) for o in owners]
    held = [
        getattr(getattr(t, "_values", None), "tensor", None) for o in owners for t in o.tensors().values()
    ]
    protos = [p for p in held if isinstance(p, TensorProto)]
    names = [p.name for p in protos]
    try:
        yield
    finally:
        for owner, saved in zip(owners, domains, strict=True):
            owner.import_domains = saved
        for proto, name in zip(protos, names, strict=True):
            proto.name = name


def _from_ir(model: Any, allow_linked: bool) -> Document:
    import onnx_ir

    directories = {
        str(v.const_value.base_dir)
        for v in model.graph.initializers.values()
        if isinstance(v.const_value, onnx_ir.ExternalTensor)
    }
    if len(directories) > 1:
        raise InputError("has external data in several directories", remedy="save it and load the file")
    files = DataFiles(None, allow_linked, Path(directories.pop() or ".") if directories else None)
    return from_bytes(_serialized(onnx_ir.to_proto(model)), files)
