"""What goes into which file: the source's layout kept, or changed on demand.

Content in external files is aligned to 64 bytes, from 1 MiB on to 4 KiB, so that a runtime can map it.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from onnx import AttributeProto, ModelProto, TensorProto

from onnxdup.errors import UsageError
from onnxdup.graph.external import external_tensors, is_external
from onnxdup.graph.payloads import Payload, Stored
from onnxdup.graph.serial import PROTOBUF_LIMIT, Parts, parts, size
from onnxdup.graph.tensors import DATA_FIELDS, encode, stored_array
from onnxdup.graph.weights import is_constant
from onnxdup.graph.wire import THRESHOLD

if TYPE_CHECKING:
    from onnxdup.graph.document import Document

External = Literal["auto", "always", "never"]


@dataclass
class Layout:
    """The files to write: the model's parts, and those of each data file by location."""

    model: Parts
    data: dict[str, Parts] = field(default_factory=dict)


@dataclass(frozen=True)
class _Slot:
    """One tensor of the model to be written, and where its content comes from."""

    tensor: TensorProto
    payload: Payload
    name: str | None  # None: not in the main graph, its data can only be woven into the skeleton
    location: str | None  # where the source keeps it, if external


def is_unchanged(document: Document, external: External) -> bool:
    """Whether the files of the source can be copied as they are."""
    has_layout = external == "auto" or (external == "always") == bool(document._files.paths)
    return has_layout and not document._edited


def plan(document: Document, target: Path, external: External, *, in_place: bool = False) -> Layout:
    """The files that make up `document` at `target`."""
    if is_unchanged(document, external):
        return _unchanged(document, target)
    return _arranged(document, target, external, in_place)


def inline_parts(document: Document) -> Parts:
    """The serialized form with all data inline, however large: for hashing and measuring."""
    if not document._edited and not document._files.paths:
        return [_whole(document._source.data)]
    model = _skeleton(document)
    return parts(model, _inlined(_slots(document, model)))


# -- a document that was not edited


def _unchanged(document: Document, target: Path) -> Layout:
    """Byte for byte; a data file that would land on another one, or has a hidden name, is called after
    `target`.
    """
    paths, buffers = document._files.paths, document._files.buffers
    if not any(_is_hidden(k) or _is_taken(target.parent / k, path) for k, path in paths.items()):
        return Layout([_whole(document._source.data)], {k: [_whole(b)] for k, b in buffers.items()})
    names = _free(target.parent, _locations(target.name, list(paths)))
    model = _skeleton(document)
    for tensor in external_tensors(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = names[entry.value]
    inline = {n: p for n, p in document._payloads.items() if p.storage != "external"}
    return Layout(parts(model, inline), {names[k]: [_whole(b)] for k, b in buffers.items()})


def _is_hidden(location: str) -> bool:
    """Whether programs might read a file of that name as their settings (a model says what is in it)."""
    return any(part.startswith(".") for part in PurePosixPath(location).parts)


def _is_taken(destination: Path, source: Path) -> bool:
    """Whether something else than an identical copy of `source` lies at `destination`."""
    if not destination.exists():
        return destination.is_symlink()
    if destination.samefile(source) or not destination.is_file():
        return True
    return destination.stat().st_size != source.stat().st_size or not _equal(destination, source)


def _equal(a: Path, b: Path) -> bool:
    with a.open("rb") as one, b.open("rb") as two:
        while True:
            x, y = one.read(1 << 20), two.read(1 << 20)
            if x != y:
                return False
            if not x:
                return True


def _whole(data: bytes | mmap.mmap) -> bytes | Payload:
    return Stored(data, 0, len(data)) if len(data) else b""


# -- a document that was edited, or gets another layout


def _arranged(document: Document, target: Path, external: External, in_place: bool) -> Layout:
    model = _skeleton(document)
    slots = _slots(document, model, unpack=external == "always")
    outside = _outside(slots, external)
    inline = _inlined([s for s in slots if id(s) not in outside])
    layout = Layout([])
    moved = [s for s in slots if id(s) in outside]
    old = list(dict.fromkeys(s.location for s in moved if s.location is not None))
    wishes = {k: k for k in old} if in_place else _locations(target.name, old)
    new = "" if len(old) == 1 else f"{target.name}.data"  # '' is no location
    names = _free(target.parent, {**wishes, **({"": new} if new else {})})
    default = names[""] if new else names[old[0]]
    _place(moved, names, default, layout.data)
    layout.model = parts(model, inline)
    if size(layout.model) <= PROTOBUF_LIMIT:
        return layout
    if external == "auto":
        return _arranged(document, target, "always", in_place)
    raise UsageError(
        "is larger than 2 GiB, the limit of protobuf", file=target.name, remedy="use external data"
    )


def _skeleton(document: Document) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(document._model)
    return model


def _slots(document: Document, model: ModelProto, *, unpack: bool = False) -> list[_Slot]:
    """The tensors of `model` (a copy of the skeleton) whose data is not in it; `unpack`: and large ones."""
    slots = []
    mains = [(t.name, t) for t in model.graph.initializer]
    mains += [
        (n.output[0], a.t)
        for n in model.graph.node
        if is_constant(n)
        for a in n.attribute
        if a.name == "value" and a.type == AttributeProto.TENSOR and not a.ref_attr_name
    ]
    for name, tensor in mains:
        slot = _slot(document, name, tensor, unpack)
        if slot is not None:
            slots.append(slot)
    nested = list(external_tensors(model))  # those of the main graph are no longer marked
    return slots + [_Slot(t, document._files.payload(t), None, _take_location(t)) for t in nested]


def _slot(document: Document, name: str, tensor: TensorProto, unpack: bool) -> _Slot | None:
    payload = document.weights.payload(name)
    if payload is not None:
        return _Slot(tensor, payload, name, _take_location(tensor))
    if not unpack or tensor.data_type == TensorProto.STRING or document.weights.info(name).nbytes < THRESHOLD:
        return None
    data = bytes(encode(stored_array(tensor)))  # typed fields that the skeleton reader could not leave out
    return _Slot(tensor, Stored(data, 0, len(data), "inside"), name, None)


def _take_location(tensor: TensorProto) -> str | None:
    """The tensor's location; the mark that it is external is removed."""
    location = next((e.value for e in tensor.external_data if e.key == "location"), None)
    marked = is_external(tensor)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    return location if marked else None


def _outside(slots: list[_Slot], external: External) -> set[int]:
    """Identities of the slots that go into external files."""
    if external == "never":
        return set()
    if external == "always":
        return {id(s) for s in slots if s.location is not None or s.payload.nbytes >= THRESHOLD}
    is_split = any(s.location is not None for s in slots)
    return {id(s) for s in slots if s.location is not None or (is_split and s.payload.storage == "new")}


def _inlined(slots: list[_Slot]) -> dict[str, Payload]:
    """Payloads to weave in by name; what is not in the main graph is put into the skeleton right here."""
    woven = {}
    for slot in slots:
        if slot.name is None:
            slot.tensor.raw_data = bytes(slot.payload.read())
        elif slot.payload.storage != "inside":
            woven[slot.name] = slot.payload
    return woven


def _place(slots: list[_Slot], names: Mapping[str, str], default: str, data: dict[str, Parts]) -> None:
    """Give each slot its place in a data file."""
    known: dict[tuple[str, int, int, int], int] = {}
    for slot in slots:
        location = names[slot.location] if slot.location is not None else default
        content, payload = data.setdefault(location, []), slot.payload
        key = (
            location,
            id(getattr(payload, "buffer", payload)),
            getattr(payload, "offset", 0),
            payload.nbytes,
        )
        if key not in known:
            at = size(content)
            step = 4096 if payload.nbytes >= 1 << 20 else 64
            content += [b"\0" * (-at % step), payload]
            known[key] = at + -at % step
        _mark(slot.tensor, location, known[key], payload.nbytes)


def _mark(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    for name in DATA_FIELDS:
        tensor.ClearField(name)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _free(folder: Path, wishes: Mapping[str, str]) -> dict[str, str]:
    """The same names, with a number where there is such a file.

    A data file is never replaced: the model that uses it may be the one that must stay when the writer is
    killed.
    """
    found: dict[str, str] = {}
    for key, wish in wishes.items():
        path, name, number = PurePosixPath(wish), wish, 0
        while os.path.lexists(folder / name) or name in found.values():
            number += 1
            name = str(path.with_name(f"{path.stem}.{number}{path.suffix}"))
        found[key] = name
    return found


def _locations(name: str, old: list[str]) -> dict[str, str]:
    """New names for the data files of the source: NAME.data for one, NAME.<old name> for several."""
    if len(old) <= 1:
        return dict.fromkeys(old, f"{name}.data")
    result: dict[str, str] = {}
    for location in old:
        base, number = f"{name}.{PurePosixPath(location).name}", 1
        wish = base
        while wish in result.values():
            wish, number = f"{base}.{number}", number + 1
        result[location] = wish
    return result
