"""The figures that several studies share; each function draws on a matplotlib Axes or Figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""x and y by label."""


def lines(figure: Any, curves: Curves, *, x: str, y: str, log: str = "", markers: bool = True) -> None:
    """Curves in one pair of axes; `log` names the logarithmic axes, as in "x" or "xy"."""
    axes = figure.subplots()
    for label, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=label, marker="o" if markers else None, markersize=3, linewidth=1.2)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(fontsize=8)


def histograms(figure: Any, samples: Mapping[str, np.ndarray], *, x: str, bins: int = 100) -> None:
    """Outlined densities of several samples."""
    axes = figure.subplots()
    for label, values in samples.items():
        axes.hist(values, bins=bins, density=True, histtype="step", label=label, linewidth=1.2)
    axes.set(xlabel=x, ylabel="density")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def matrices(figure: Any, images: Mapping[str, np.ndarray]) -> None:
    """Similarity matrices (-1 blue, 1 red) beside each other, four to a row."""
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    drawn = None
    for axes, (title, image) in zip(panels, images.items(), strict=False):
        drawn = axes.imshow(image, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="antialiased")
        axes.set_title(title, fontsize=8)
    for axes in panels_of(figure):
        axes.set_axis_off()
    figure.colorbar(drawn, ax=list(panels_of(figure)), shrink=0.6, label="cosine")


def panels_of(figure: Any) -> list[Any]:
    """The axes of a figure, in order."""
    return list(figure.axes)


def filters(figure: Any, rows: Mapping[str, np.ndarray], shape: tuple[int, int, int], columns: int) -> None:
    """Filters as pictures, one labelled row of `columns` per entry; each (n, prod(shape)) scaled to 0…1."""
    axes = figure.subplots()
    _, height, width = shape
    canvas = np.ones((len(rows) * (height + 1), columns * (width + 1), 3))
    for row, values in enumerate(rows.values()):
        for column, value in enumerate(values[:columns]):
            top, left = row * (height + 1), column * (width + 1)
            canvas[top : top + height, left : left + width] = picture(value, shape)
    axes.imshow(canvas, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([(k + 0.5) * (height + 1) for k in range(len(rows))], list(rows), fontsize=8)
    axes.spines[:].set_visible(False)


def picture(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """One filter as an RGB image (height, width, 3), its extremes black and white."""
    low, high = float(values.min()), float(values.max())
    image = ((values - low) / (high - low or 1.0)).reshape(shape).transpose(1, 2, 0)
    return image if shape[0] == 3 else np.repeat(image[:, :, :1], 3, axis=2)


def weight(model: Path, tensor: str) -> np.ndarray:
    """The filters of a layer of an ONNX file as float64 rows (filters, fan-in)."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(model).graph
    found = next(t for t in graph.initializer if t.name == tensor)
    values = numpy_helper.to_array(found).astype(np.float64)
    return values.reshape(len(values), -1)


def directions(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their norms; a zero row stays zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1.0)


def cosines(rows: np.ndarray) -> np.ndarray:
    """The cosines of all pairs of rows (n, n)."""
    unit = directions(rows)
    return np.clip(unit @ unit.T, -1, 1)


def components(similarity: np.ndarray, tau: float) -> np.ndarray:
    """Connected components of the similarity graph at `tau`: a number per row, the largest component 0."""
    from scipy.sparse.csgraph import connected_components

    labels = connected_components(similarity >= tau, directed=False)[1]
    by_size = np.argsort(-np.bincount(labels), kind="stable")
    return np.argsort(by_size)[labels]


def off_diagonal(similarity: np.ndarray) -> np.ndarray:
    """The entries above the diagonal."""
    return similarity[np.triu_indices(len(similarity), 1)]


def smoothed(values: Iterable[float], window: int) -> np.ndarray:
    """Moving averages of `window` values, each over those before it as far as there are any."""
    total = np.concatenate([[0.0], np.cumsum(np.fromiter(values, float))])
    stop = np.arange(1, len(total))
    start = np.maximum(stop - window, 0)
    return (total[stop] - total[start]) / (stop - start)
