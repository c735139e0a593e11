"""Storing a document: all or nothing.

The files are written into a temporary directory beside the target, flushed to disk, verified there by the
caller's function, and only then renamed into place, data before model. Data files get names that are free, so
that renaming the model is the one moment at which the old model becomes the new one: a reader sees either,
also when the writer is killed, and a failure leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
    OUT.data, or OUT.1.data where there is such a file.
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
    try:
        _write(layout, target, verify, _orphans(document, target, layout))
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


def _write(
    layout: Layout, target: Path, verify: Callable[[Path], None] | None, orphans: Iterable[str]
) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        fresh = temporary / target.name
        _write_files(layout, fresh, sync=True)
        if verify:
            verify(fresh)
        _commit([*layout.data, target.name], temporary, target.parent)
        for name in orphans:
            (target.parent / name).unlink(missing_ok=True)
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


def _commit(names: list[str], source: Path, destination: Path) -> None:
    """Rename all files into place, or none. The last one, the model, makes the others count: it is renamed
    when they are known to survive a loss of power, and nothing is removed before the same holds for it.
    """
    made: list[Path] = []
    try:
        for name in names:
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            existed = os.path.lexists(target)
            if name == names[-1] and len(names) > 1:
                _sync_directories((destination / n for n in names[:-1]), destination)
            (source / name).replace(target)
            if not existed:
                made.append(target)
    except BaseException:
        for target in made:
            target.unlink(missing_ok=True)
        raise
    _sync_directories([destination / names[-1]], destination)


def _sync_directories(files: Iterable[Path], top: Path) -> None:
    """Make the names of files in `top`, or in folders below it, permanent."""
    folders = {f.parent for f in files}
    folders |= {p for f in folders for p in f.parents if p.is_relative_to(top)}
    for folder in sorted(folders, key=lambda p: -len(p.parts)):
        _sync_directory(folder)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _orphans(document: Document, target: Path, layout: Layout) -> set[str]:
    """Data files that nobody uses once the model at `target` is replaced: those called after it, and in place
    those of the document.
    """
    if _is_source(document, target):
        return document._files.paths.keys() - layout.data.keys()
    try:
        old = load(target)._files.paths if target.is_file() else {}
    except InputError:
        return set()
    mine = {name for name in old if name.startswith(f"{target.name}.")}
    read = [*document._files.paths.values()]
    return {n for n in mine - layout.data.keys() if not any(_same(target.parent / n, p) for p in read)}


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
