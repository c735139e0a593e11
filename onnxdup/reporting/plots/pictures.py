"""The pictures of a layer: similarity matrix, clusters, first-layer filters."""

from __future__ import annotations

from onnxdup.reporting.plots.png import Picture, scale, sheet
from onnxdup.reporting.portrait import Cluster, LayerPortrait, Tiles
from onnxdup.reporting.view import count

MATRIX_SHOWN = 340
TILES_ACROSS = 6
GALLERY_ACROSS = 10
CLUSTER_SHOWN = 300
GALLERY_SHOWN = 640
_LARGEST_ZOOM = 12
_LISTED = 24


def plural(number: int, noun: str) -> str:
    """1 cluster, 2 clusters."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def matrix(layer: LayerPortrait) -> Picture | None:
    """Cosines of all pairs, clusters first."""
    found = layer.weights.matrix if layer.weights else None
    if found is None or layer.weights is None:
        return None
    sizes = layer.weights.cluster_sizes
    cell = "" if found.per_cell <= 1 else f" A pixel is the mean over {found.per_cell:.1f}² pairs."
    blocks = (
        f"{count(found.clustered)} filters in {plural(len(sizes), 'cluster')} at tau {layer.weights.tau:g} "
        f"come first, the largest ({sizes[0]} filters) at the top left; then the others by their nearest "
        "neighbour."
        if sizes
        else "No two filters form a cluster; they are in the order of their nearest neighbour's cosine."
    )
    alt = f"Similarity matrix of {count(found.filters)} filters. {blocks}"
    return Picture(
        "matrix", "Similarity matrix", alt, f"{blocks}{cell}", scale(found.cosines), MATRIX_SHOWN
    )  # fmt: skip


def clusters(layer: LayerPortrait) -> tuple[Picture, ...]:
    """The largest clusters: the mean of the unit filters first, then members."""
    if layer.weights is None:
        return ()
    shown, closest = layer.weights.clusters, layer.weights.closest
    if closest is not None:
        return (_pair(closest),)
    return tuple(_cluster(number, cluster, layer.weights.tau) for number, cluster in enumerate(shown, 1))


def _cluster(number: int, cluster: Cluster, tau: float) -> Picture:
    size, shown = len(cluster.members), len(cluster.tiles.pixels) - 1
    which = ", ".join(map(str, cluster.members[:_LISTED]))
    which += f" and {size - _LISTED} more" if size > _LISTED else ""
    few = f"the mean and {shown} of {size}" if size > shown else f"the mean and all {size}"
    alt = (
        f"Cluster {number} at tau {tau:g}: {few} filters as {cluster.tiles.words}; smallest cosine "
        f"{cluster.smallest_cosine:.3f}."
    )
    caption = f"{size} filters, smallest cosine {cluster.smallest_cosine:.3f}: {which}"
    return _sheet(
        f"cluster-{number}", f"Cluster {number}", alt, caption, cluster.tiles, TILES_ACROSS, CLUSTER_SHOWN
    )


def _pair(pair: Cluster) -> Picture:
    words = f"{pair.members[0]} and {pair.members[1]}, cosine {pair.smallest_cosine:.3f}"
    alt = f"The two most similar filters and their mean as {pair.tiles.words}: {words}."
    caption = f"Filters {words}"
    return _sheet(
        "cluster-closest", "Most similar pair", alt, caption, pair.tiles, TILES_ACROSS, CLUSTER_SHOWN
    )


def gallery(layer: LayerPortrait) -> Picture | None:
    """Filters of a layer that sees the model's input, as images."""
    tiles = layer.weights.gallery if layer.weights else None
    if tiles is None:
        return None
    shown, all_of = len(tiles.pixels), layer.report.filters
    which = f"all {count(all_of)}" if shown == all_of else f"{shown} of {count(all_of)}, evenly spaced"
    words = f"{tiles.words}: {which} filters, each scaled by its largest weight; mid-grey is zero."
    return _sheet(
        "filters", "Filters as images", f"Filters as {words}", f"{words[0].upper()}{words[1:]}", tiles,
        GALLERY_ACROSS, GALLERY_SHOWN,
    )  # fmt: skip


def _sheet(name: str, title: str, alt: str, caption: str, tiles: Tiles, across: int, shown: int) -> Picture:
    pixels = sheet(tiles, across)
    width, count_of = pixels.shape[1], len(tiles.pixels)
    full = width if count_of >= across else width * across // max(count_of, 1)
    zoom = min(max(shown / full, 1.0), _LARGEST_ZOOM)
    return Picture(name, title, alt, caption, pixels, round(width * zoom), tiles.signed)
