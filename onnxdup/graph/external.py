"""External data files: finding them without leaving the model's directory, and mapping them.

A model names its data files, so a hostile model can name any file. The rules (those of onnxruntime, and the
lessons of CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34446 and CVE-2026-34447): `location` is
relative and has no `..`; what it resolves to lies under the model's directory, or under the directory that
the model itself resolves to (a Hugging Face cache links both into `blobs/`); a hard link has all its names
there.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NoReturn

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from onnxdup.errors import InputError
from onnxdup.graph.payloads import Stored
from onnxdup.graph.tensors import packed_size, type_and_shape

_LINK_REMEDY = "copy the file there, or allow it with --allow-linked-data"


def is_external(tensor: TensorProto) -> bool:
    """Whether the data of this tensor lies in another file."""
    return tensor.data_location == TensorProto.EXTERNAL


def map_file(path: Path, *, follow: bool = True) -> bytes | mmap.mmap:
    """The bytes of a file, memory-mapped. InputError when it is no regular file or cannot be read.

    `follow`: whether a link at the end of the path is followed.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError("is not a regular file", file=path)
        size = os.fstat(descriptor).st_size
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    finally:
        os.close(descriptor)


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is replaced (the first two) or written to (the others)."""
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass
class DataFiles:
    """The external data files of one model, each checked and mapped once."""

    model: Path | None
    allow_linked: bool = False
    base: Path | None = None  # directory that locations are relative to; the model's own when None
    paths: dict[str, Path] = field(default_factory=dict)
    stamps: dict[Path, tuple[int, ...]] = field(default_factory=dict)
    buffers: dict[str, bytes | mmap.mmap] = field(default_factory=dict)

    def payload(self, tensor: TensorProto) -> Stored:
        """Where the data of an external tensor lies. InputError unless it is all there."""
        _, shape = type_and_shape(tensor)
        name = tensor.name or "(unnamed)"
        if tensor.data_type == TensorProto.STRING:
            raise InputError("strings cannot be external data", tensor=name, file=self.model)
        entry = self._entries(tensor)
        buffer = self._open(entry.get("location", ""), name)
        needed = packed_size(tensor.data_type, shape)
        offset = self._number(entry, "offset", name) or 0
        length = self._number(entry, "length", name)
        if length is not None and length != needed:
            self._fail(
                f"shape {list(shape)} needs {needed} bytes of external data, its length is {length}", name
            )
        if offset + needed > len(buffer):
            missing = offset + needed - len(buffer)
            self._fail(f"external data {entry['location']} is {missing} bytes too short", name)
        return Stored(buffer, offset, needed, "external")

    def _entries(self, tensor: TensorProto) -> dict[str, str]:
        keys = [e.key for e in tensor.external_data]
        if not all(isinstance(text, str) for e in tensor.external_data for text in (e.key, e.value)):
            self._fail("external data has an entry that is not UTF-8", tensor.name)
        if len(set(keys)) != len(keys):
            self._fail("external data has a key twice", tensor.name)
        return {e.key: e.value for e in tensor.external_data}

    def _number(self, entry: dict[str, str], key: str, name: str) -> int | None:
        text = entry.get(key)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            self._fail(f"external data {key} is {text[:40]!r}, not a number", name)
        return int(text)

    def _open(self, location: str, name: str) -> bytes | mmap.mmap:
        if location not in self.buffers:
            path = self._resolve(location, name)
            self.buffers[location] = map_file(path, follow=False)
            self.paths[location], self.stamps[path] = path, stamp(path)
        return self.buffers[location]

    def _resolve(self, location: str, name: str) -> Path:
        """Real path of a data file; see the module's rules."""
        base = self.base or (self.model.parent if self.model else None)
        if base is None:
            self._fail(
                "has external data, but a model in memory has no directory", name, "load it by its path"
            )
        if not is_plain_location(location):
            self._fail(f"external data location {location[:80]!r} leaves the model's directory", name)
        try:
            real = (base / location).resolve(strict=True)
        except (OSError, RuntimeError):
            self._fail(f"external data {location} is missing", name, "put it beside the model")
        if not self.allow_linked:
            self._check_links(base, real, location, name)
        return real

    def _check_links(self, base: Path, real: Path, location: str, name: str) -> None:
        homes = {base.resolve()} | ({self.model.resolve().parent} if self.model else set())
        if not any(real.is_relative_to(home) for home in homes):
            self._fail(
                f"external data {location} is a link that leaves the model's directory", name, _LINK_REMEDY
            )
        links = real.stat().st_nlink
        if links > 1 and _names_of(real, homes | {real.parent}) != links:
            self._fail(f"external data {location} is a hard link to a file elsewhere", name, _LINK_REMEDY)

    def _fail(self, what: str, name: str, remedy: str | None = None) -> NoReturn:
        raise InputError(what, file=self.model, tensor=name, remedy=remedy)


def _names_of(real: Path, directories: Iterable[Path]) -> int:
    """How many entries of the directories are this very file."""
    inode = real.stat().st_ino
    found = 0
    for directory in directories:
        with os.scandir(directory) as entries:
            found += sum(e.inode() == inode and e.is_file(follow_symlinks=False) for e in entries)
    return found


def is_plain_location(location: str) -> bool:
    """Whether a location is relative and stays below its directory, by the rules of POSIX and of Windows."""
    if not location or "\0" in location:
        return False
    kinds = (PurePosixPath(location), PureWindowsPath(location))
    return not any(p.is_absolute() or p.drive or p.root or ".." in p.parts or not p.name for p in kinds)


def external_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model whose data is external: initializers, attributes, subgraphs, functions."""
    graphs = [model.graph]
    for info in model.training_info:
        graphs += [info.initialization, info.algorithm]
    for graph in graphs:
        yield from filter(is_external, _graph_tensors(graph))
    for function in model.functions:
        yield from filter(is_external, _node_tensors(function.node))
        for attribute in function.attribute_proto:
            yield from filter(is_external, _attribute_tensors(attribute))


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute)


def _attribute_tensors(attribute: AttributeProto) -> Iterator[TensorProto]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []:
        yield from (sparse.values, sparse.indices)
    for sparse in attribute.sparse_tensors:
        yield from (sparse.values, sparse.indices)
    for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
        yield from _graph_tensors(graph)
