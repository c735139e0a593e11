"""The numbers and pixels behind a page, against plain numpy; and where filters lie in the model's input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import onnxdup
from onnxdup.channels import trace
from onnxdup.graph import parse
from onnxdup.reporting.portrait import Weights, portray, weights
from onnxdup.reporting.portrait.forms import form_of
from onnxdup.reporting.portrait.views import image_view

SAMPLES = Path(__file__).parents[2] / "samples"
MODEL = SAMPLES / "mlp_digits.onnx"


@pytest.fixture(scope="module")
def first() -> tuple[NDArray[np.float64], Weights]:
    """Unit rows and portrait of the first layer of a sample."""
    document = onnxdup.load(MODEL)
    found = portray(onnxdup.report(document), document).layers[0].weights
    assert found is not None
    rows = trace(document).layers[0].rows().astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), found


def components(similar: NDArray[np.bool_]) -> int:
    """Connected components by plain search."""
    seen: set[int] = set()
    count = 0
    for start in range(len(similar)):
        count += start not in seen
        stack = [start]
        while stack:
            k = stack.pop()
            if k not in seen:
                seen.add(k)
                stack += np.flatnonzero(similar[k]).tolist()
    return count


def test_curve_is_that_of_the_paper(first: tuple[NDArray[np.float64], Weights]) -> None:
    units, found = first
    cosines = units @ units.T
    assert found.curve is not None
    for tau, share in zip(found.curve.taus[::7], found.curve.shares[::7], strict=True):
        assert share == pytest.approx(1 - components(cosines >= min(tau, 1 - 1e-6)) / len(units))
    assert (np.diff(found.curve.taus) > 0).all() and (np.diff(found.curve.shares) <= 0).all()


def test_clusters_keep_taus_promise_and_are_the_largest(first: tuple[NDArray[np.float64], Weights]) -> None:
    units, found = first
    for cluster in found.clusters:
        inside = (units @ units.T)[np.ix_(cluster.members, cluster.members)]
        assert inside.min() == pytest.approx(cluster.smallest_cosine, abs=1e-9)
        assert cluster.smallest_cosine >= found.tau
    sizes = [len(c.members) for c in found.clusters]
    assert sizes == list(found.cluster_sizes[: len(sizes)]) == sorted(sizes, reverse=True)


def test_first_tile_is_the_mean_and_the_others_are_members(
    first: tuple[NDArray[np.float64], Weights],
) -> None:
    units, found = first
    cluster = found.clusters[0]
    mean = units[list(cluster.members)].mean(axis=0).reshape(8, 8)
    assert cluster.tiles.pixels[0] == pytest.approx(mean / np.abs(mean).max(), abs=1e-5)
    member = units[cluster.members[1]].reshape(8, 8)
    assert cluster.tiles.pixels[2] == pytest.approx(member / np.abs(member).max(), abs=1e-5)
    assert not cluster.tiles.signed and cluster.tiles.words == "8 × 8 grey images"


def test_matrix_holds_cosines_with_clusters_first(first: tuple[NDArray[np.float64], Weights]) -> None:
    units, found = first
    assert found.matrix is not None and found.matrix.cosines.shape == (256, 256)
    assert np.diag(found.matrix.cosines) == pytest.approx(np.ones(256), abs=1e-5)
    largest = list(found.clusters[0].members)
    block = found.matrix.cosines[: len(largest), : len(largest)]
    assert block == pytest.approx((units @ units.T)[np.ix_(largest, largest)], abs=1e-5)
    assert found.matrix.clustered == sum(found.cluster_sizes)


def test_large_matrix_shows_means_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MATRIX_SIDE", 16)
    document = onnxdup.load(MODEL)
    found = portray(onnxdup.report(document), document).layers[0].weights
    monkeypatch.undo()
    full = portray(onnxdup.report(document), document).layers[0].weights
    assert found is not None and full is not None and found.matrix is not None and full.matrix is not None
    means = full.matrix.cosines.reshape(16, 16, 16, 16).mean(axis=(1, 3))
    assert found.matrix.cosines == pytest.approx(means, abs=1e-5)
    assert found.matrix.per_cell == 16


def test_histograms_count_every_filter(first: tuple[NDArray[np.float64], Weights]) -> None:
    _, found = first
    assert found.norms is not None and found.nearest is not None
    assert found.norms.counts.sum() == found.nearest.counts.sum() == 256


def test_too_large_layers_say_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PAIR_WORK", 1.0)
    monkeypatch.setattr(weights, "SPECTRUM_WORK", 1.0)
    document = onnxdup.load(MODEL)
    found = portray(onnxdup.report(document), document).layers[0].weights
    assert found is not None
    assert (
        found.clusters == () and found.matrix is None and found.spectrum is None and found.norms is not None
    )
    assert len(found.skipped) == 2 and "256 filters of 64 weights" in found.skipped[1]


def test_layer_without_clusters_shows_its_most_similar_pair() -> None:
    document = onnxdup.load(SAMPLES / "cnn_digits.onnx")
    portrait = portray(onnxdup.report(document), document)
    layer = next(x for x in portrait.layers if x.report.node == "node_Conv_138")
    assert layer.weights is not None and layer.weights.closest is not None and not layer.weights.clusters
    assert layer.weights.closest.smallest_cosine == pytest.approx(layer.report.cosines.nearest_largest)  # type: ignore[union-attr]


def _view(text: str, weights_of: dict[str, NDArray[Any]], node: str) -> Any:
    document = parse(f"g {text}", **weights_of)
    last = document.nodes[-1]
    assert last.op_type == node
    return document, image_view(document, last.name, document.shapes())


FLAT = "(float[n,{shape}] x) => (float[n,2] y) {{ {body} y=Gemm<transB=1>(f,w) }}"


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("3,4,5", "f=Flatten(x)"),
        ("3,4,5", "s=Sub(x,m) q=Div(s,m) f=Flatten(q)"),
        ("4,5,3", "t=Transpose<perm=[0,3,1,2]>(x) f=Flatten(t)"),
        ("4,5,3", "f=Flatten(x)"),
        ("3,4,5", "t=Transpose<perm=[0,2,3,1]>(x) f=Flatten(t)"),
    ],
    ids=["flat", "normalised", "channels last, moved", "channels last", "moved to channels last"],
)
def test_every_weight_is_drawn_where_it_looks(shape: str, body: str) -> None:
    """A filter that is 1 at one pixel of one colour shows that pixel in that colour."""
    size = tuple(map(int, shape.split(",")))
    last = size[-1] == 3
    image = np.zeros((4, 5, 3), np.float32)
    image[1, 3, 2] = 1.0
    stored = image if last else image.transpose(2, 0, 1)
    if "Transpose" in body:
        stored = stored.transpose(2, 0, 1) if last else stored.transpose(1, 2, 0)
    row = np.stack([stored.ravel(), -stored.ravel()])
    text = FLAT.format(shape=shape, body=body)
    document, view = _view(text, {"w": row, "m": np.array([0.5], np.float32)}, "Gemm")
    layer = trace(document).layers[0]
    tiles = form_of(layer, layer.rows(), view).tiles(layer.rows())
    assert tiles.words == "4 × 5 colour images"
    assert np.array_equal(tiles.pixels[0], image) and np.array_equal(tiles.pixels[1], -image)


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("60", "f=Identity(x)"),
        ("2,5,6", "f=Flatten(x)"),
        ("1,1,60", "f=Flatten(x)"),
        ("3,4,5", "r=Softmax(x) f=Flatten(r)"),
    ],
)
def test_other_inputs_give_signatures(shape: str, body: str) -> None:
    rng = np.random.default_rng(0)
    document, view = _view(
        FLAT.format(shape=shape, body=body), {"w": rng.normal(size=(2, 60)).astype(np.float32)}, "Gemm"
    )
    layer = trace(document).layers[0]
    form = form_of(layer, layer.rows(), view)
    assert form.signed and "signatures: all 60 weights" in form.words
    pixels = form.tiles(layer.rows()).pixels
    assert pixels.shape == (2, 8, 8)
    assert pixels[0].ravel()[:60] == pytest.approx(layer.rows()[0] / np.abs(layer.rows()[0]).max())


def test_kernels_of_the_strongest_channels_are_laid_out_in_a_grid() -> None:
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(6, 20, 3, 3)).astype(np.float32)
    kernels[:, 3] *= 9
    kernels[:, [0, 5, 7, 11]] = 0
    text = "(float[n,20,8,8] x) => (float[n,6,6,6] y) { y=Conv(x,w) }"
    document, view = _view(text, {"w": kernels}, "Conv")
    layer = trace(document).layers[0]
    form = form_of(layer, layer.rows(), view)
    assert form.words == "3 × 3 kernels of the 16 strongest of 20 input channels"
    pixels = form.tiles(layer.rows()).pixels
    assert pixels.shape == (6, 15, 15)
    shown = [c for c in range(20) if c not in (0, 5, 7, 11)]
    peak = np.abs(kernels[2]).max()
    place = shown.index(3)
    top, left = 4 * (place // 4), 4 * (place % 4)
    assert pixels[2, top : top + 3, left : left + 3] == pytest.approx(kernels[2, 3] / peak)


def test_convolution_behind_padding_still_sees_the_image() -> None:
    text = '(float[n,3,9,9] x) => (float[n,6,h,w] y) { p=Pad<mode="reflect">(x,pads) y=Conv(p,w) }'
    weight = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    document, view = _view(text, {"w": weight, "pads": pads}, "Conv")
    layer = trace(document).layers[0]
    tiles = form_of(layer, layer.rows(), view).tiles(layer.rows())
    assert tiles.words == "3 × 3 colour images"
    assert tiles.pixels[1, 2, 0] == pytest.approx(weight[1, :, 2, 0] / np.abs(weight[1]).max())


@pytest.mark.parametrize(
    ("shape", "kernel", "words", "size"),
    [
        ("n,1,8,600", (6, 1, 1, 512), "1 × 512 grey images, reduced 11-fold", (6, 1, 46)),
        ("n,3,300,200", (6, 3, 120, 100), "120 × 100 colour images, reduced 3-fold", (6, 40, 33, 3)),
        (
            "n,5,8,600",
            (6, 5, 1, 40),
            "signatures: all 200 weights of each filter, in rows of 15",
            (6, 14, 15),
        ),
    ],
    ids=["line", "large", "long kernel"],
)
def test_large_filters_become_small_pictures(
    shape: str, kernel: tuple[int, ...], words: str, size: tuple[int, ...]
) -> None:
    text = f"(float[{shape}] x) => (float[n,6,h,w] y) {{ y=Conv(x,w) }}"
    weight = np.random.default_rng(0).normal(size=kernel).astype(np.float32)
    document, view = _view(text, {"w": weight}, "Conv")
    layer = trace(document).layers[0]
    tiles = form_of(layer, layer.rows(), view).tiles(layer.rows())
    assert tiles.words == words and tiles.pixels.shape == size


def test_non_finite_weights_do_not_break_the_pictures() -> None:
    rows = np.random.default_rng(0).normal(size=(6, 60)).astype(np.float32)
    rows[1, 3], rows[2, 4], rows[4] = np.nan, np.inf, 0
    text = FLAT.format(shape="3,4,5", body="f=Flatten(x)").replace("float[n,2] y", "float[n,6] y")
    document, _ = _view(text, {"w": rows}, "Gemm")
    found = portray(onnxdup.report(document), document).layers[0].weights
    assert found is not None and found.gallery is not None
    assert np.isfinite(found.gallery.pixels).all() and found.matrix is not None
    assert np.isfinite(found.matrix.cosines).all()
