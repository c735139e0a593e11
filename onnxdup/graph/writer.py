"""Storing a document: all or nothing.

The files are written into a temporary directory beside the target, flushed to disk, verified there by the
caller's function, and only then renamed into place, data before model; when a rename fails, those before it
are undone. So a reader sees the old model or the new one, and a failure leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from onnxdup.errors import InputError, UsageError
from onnxdup.graph.document import Document
from onnxdup.graph.external import stamp
from onnxdup.graph.layout import External, Layout, inline_parts, is_unchanged, plan
from onnxdup.graph.payloads import Stored
from onnxdup.graph.serial import Parts, stream
from onnxdup.graph.serial import size as size_of
from onnxdup.graph.sources import load


def write(
    document: Document,
    path: str | os.PathLike[str],
    *,
    in_place: bool = False,
    external: External = "auto",
    verify: Callable[[Path], None] | None = None,
) -> tuple[Path, ...]:
    """Store a document; returns the files written, the model first.

    A document that was not edited is copied byte for byte. The layout of the source is kept ('auto'), or
    weights from 1 KiB go to external data ('always') or into the model ('never'); one data file is called
    OUT.data.
    `verify` gets the path of the complete temporary model; what it raises leaves no output.
    UsageError when the target is the source and `in_place` is false, or cannot be written.
    """
    target = Path(path)
    _refuse(document, target, in_place)
    if document.path and _same(target, document.path) and is_unchanged(document, external):
        if verify:
            verify(target)
        return (target, *document._files.paths.values())
    _refuse_changed(document)
    layout = plan(document, target, external, in_place=in_place and _is_source(document, target))
    if not in_place:
        _refuse_data(document, target, layout)
    try:
        _write(layout, target, verify)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror or error}", file=target) from error
    return (target, *(target.parent / location for location in layout.data))


@contextlib.contextmanager
def materialised(document: Document) -> Iterator[Path]:
    """A path from which a runtime can open the document: the original file, or a temporary copy."""
    if document.path is not None:
        _refuse_changed(document)
        yield document.path
        return
    with tempfile.TemporaryDirectory(prefix="onnxdup-") as directory:
        target = Path(directory) / "model.onnx"
        _write_files(plan(document, target, "auto"), target, sync=False)
        yield target


def digest(document: Document) -> str:
    """See `Document.sha256`."""
    sha = hashlib.sha256()
    for chunk in stream(_stored(document)):
        sha.update(chunk)
    return sha.hexdigest()


def size(document: Document) -> int:
    """See `Document.nbytes`."""
    return size_of(_stored(document))


def _stored(document: Document) -> Parts:
    """All bytes: of the files of an unedited document, else of the form with everything inline."""
    if document._edited:
        return inline_parts(document)
    buffers = document._files.buffers
    everything = [document._source.data, *(buffers[k] for k in sorted(buffers))]
    return [Stored(b, 0, len(b)) for b in everything if len(b)]


def _write(layout: Layout, target: Path, verify: Callable[[Path], None] | None) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        fresh = temporary / "new" / target.name
        fresh.parent.mkdir()
        _write_files(layout, fresh, sync=True)
        if verify:
            verify(fresh)
        orphan = _own_data(target) - set(layout.data)
        _commit([*layout.data, target.name], fresh.parent, target.parent, temporary / "old")
        for name in orphan:
            (target.parent / name).unlink(missing_ok=True)
        _sync_directory(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_files(layout: Layout, target: Path, *, sync: bool) -> None:
    for location, content in {**layout.data, target.name: layout.model}.items():
        path = target.parent / location
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in stream(content):
                file.write(chunk)
            file.flush()
            if sync:
                os.fsync(file.fileno())


def _commit(names: list[str], source: Path, destination: Path, backups: Path) -> None:
    """Rename all files into place, or none."""
    undo: list[tuple[Path, Path | None]] = []
    try:
        for name in names:
            target, backup = destination / name, backups / name
            target.parent.mkdir(parents=True, exist_ok=True)
            existed = os.path.lexists(target)
            if existed and name != names[-1]:
                backup.parent.mkdir(parents=True, exist_ok=True)
                _set_aside(target, backup)
                undo.append((target, backup))
            (source / name).replace(target)
            if not existed:
                undo.append((target, None))
    except BaseException:
        for target, saved in reversed(undo):
            if saved is None:
                target.unlink(missing_ok=True)
            else:
                saved.replace(target)
        raise


def _set_aside(target: Path, backup: Path) -> None:
    """Keep the old file under a second name; where there are no hard links, under the second name only."""
    try:
        os.link(target, backup, follow_symlinks=False)
    except (OSError, NotImplementedError):
        target.replace(backup)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _own_data(target: Path) -> set[str]:
    """The data file named after the target, if the model that is about to be replaced uses it."""
    name = f"{target.name}.data"
    if not (target.is_file() and (target.parent / name).is_file()):
        return set()
    try:
        return {name} & load(target)._files.paths.keys()
    except InputError:
        return set()


def _refuse(document: Document, target: Path, in_place: bool) -> None:
    if target.is_dir():
        raise UsageError("is a directory", file=target, remedy="name the output file")
    if target.exists() and not target.is_file():
        raise UsageError("is not a regular file", file=target, remedy="name a file")
    if not target.parent.is_dir():
        raise UsageError("its directory does not exist", file=target, remedy=f"create {target.parent}")
    if any(_same(target, path) for path in document._files.paths.values()):
        raise UsageError("is external data of the input", file=target, remedy="choose another output")
    if _is_source(document, target) and not in_place:
        raise UsageError(
            "is the input itself",
            file=target,
            remedy="choose another output, or say --in-place to replace it",
        )


def _refuse_data(document: Document, target: Path, layout: Layout) -> None:
    for location in layout.data:
        for path in document._files.paths.values():
            if _same(target.parent / location, path):
                raise UsageError("is external data of the input", file=path, remedy="choose another output")


def _is_source(document: Document, target: Path) -> bool:
    return document.origin is not None and _same(target, document.origin)


def _same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False


def _refuse_changed(document: Document) -> None:
    """InputError when the source was written to since it was opened (if replaced, the old one is mapped)."""
    stamps = dict(document._files.stamps)
    if document._source.path is not None and document._source.stamp is not None:
        stamps[document._source.path] = document._source.stamp
    for path, then in stamps.items():
        now = stamp(path) if path.exists() else then
        if now[:2] == then[:2] and now != then:
            raise InputError("was changed on disk while it was open", file=path, remedy="run again")
