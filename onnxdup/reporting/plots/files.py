"""`write_files`: the pictures of a page as files, charts as SVG, matrices and filters as PNG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnxdup.errors import UsageError
from onnxdup.reporting.needs import needs
from onnxdup.reporting.plots.layers import charts_of_layer, charts_of_model, pictures_of_layer
from onnxdup.reporting.plots.png import Picture
from onnxdup.reporting.plots.svg import Chart, to_svg
from onnxdup.reporting.portrait import Portrait
from onnxdup.reporting.view import layer_name

_LONGEST = 80


def write_files(portraits: Sequence[Portrait], folder: Path) -> tuple[Path, ...]:
    """Every picture of every portrait; a folder for each model where there are several. Returns the paths.

    Names are `LAYER-PICTURE`. Raises `UsageError` where matplotlib is missing or the folder cannot be
    written.
    """
    needs("drawing plots", "matplotlib")
    written: list[Path] = []
    names = _unique([_stem(p) for p in portraits])
    try:
        for portrait, name in zip(portraits, names, strict=True):
            place = folder / name if len(portraits) > 1 else folder
            place.mkdir(parents=True, exist_ok=True)
            written += [_write(place, stem, drawing) for stem, drawing in _drawings(portrait)]
    except OSError as error:
        raise UsageError(f"plots cannot be written: {error.strerror}", file=folder) from error
    return tuple(written)


def _drawings(portrait: Portrait) -> Iterator[tuple[str, Chart | Picture]]:
    for chart in charts_of_model(portrait):
        yield f"model-{chart.name}", chart
    stems = _unique([safe(layer_name(x.report.node, x.report.tensor)) for x in portrait.layers])
    for layer, stem in zip(portrait.layers, stems, strict=True):
        drawings: list[Chart | Picture] = [*charts_of_layer(layer), *pictures_of_layer(layer)]
        for drawing in drawings:
            yield f"{stem}-{drawing.name}", drawing


def _write(folder: Path, stem: str, drawing: Chart | Picture) -> Path:
    if isinstance(drawing, Chart):
        path = folder / f"{stem}.svg"
        path.write_text(to_svg(drawing), encoding="utf-8")
    else:
        path = folder / f"{stem}.png"
        path.write_bytes(drawing.png(grown=True))
    return path


def safe(name: str) -> str:
    """A name as part of a file name: letters, digits, dot, minus, underscore."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[-_LONGEST:] or "layer"


def _stem(portrait: Portrait) -> str:
    path = (portrait.report.model.path or "model").replace("\\", "/")
    return safe(path.rpartition("/")[2].removesuffix(".onnx"))


def _unique(names: Sequence[str]) -> list[str]:
    """Names that differ also where case does not count, by a number behind those that were taken."""
    taken: set[str] = set()
    out = []
    for name in names:
        new, number = name, 1
        while new.lower() in taken:
            number += 1
            new = f"{name}-{number}"
        taken.add(new.lower())
        out.append(new)
    return out
