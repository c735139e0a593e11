"""Nets whose BatchNormalization was folded: what nobody knows must not be compensated.

A folded bias is beta − gamma · mean / sigma: it undoes the mean of what the filter read in training. A mean
that is guessed at the input and derived from layer to layer misses it by more with each layer, and constants
compensated with it ruin the net.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from onnxdup.channels.tracer import Source
from onnxdup.graph import Document, parse
from onnxdup.graph.expose import with_outputs
from onnxdup.merging.moments.feed import Feed
from onnxdup.merging.moments.feeds import Feeds
from onnxdup.reduce import merge
from onnxdup.runtime import Session

BLOCKS, WIDTH, SIDE = 5, 12, 10


def residual_net(random: np.random.Generator, entry: bool) -> Document:
    """Stem, with `entry` behind a layer of its own, residual blocks, head; weights as drawn, biases zero."""
    start = ["a=Conv<pads=[1,1,1,1]>(x,w,b)", "r=Relu(a)"] if entry else []
    nodes = [*start, f"a0=Conv<pads=[1,1,1,1]>({'r' if entry else 'x'},w0,b0)", "r0=Relu(a0)"]
    shapes = {"w": (WIDTH, 3, 3, 3)} if entry else {}
    shapes["w0"] = (WIDTH, WIDTH if entry else 3, 3, 3)
    for k in range(1, BLOCKS + 1):
        nodes += [f"a{k}=Conv<pads=[1,1,1,1]>(r{k - 1},w{k},b{k})", f"h{k}=Relu(a{k})"]
        nodes += [
            f"c{k}=Conv<pads=[1,1,1,1]>(h{k},v{k},d{k})",
            f"s{k}=Add(r{k - 1},c{k})",
            f"r{k}=Relu(s{k})",
        ]
        shapes |= {f"w{k}": (WIDTH, WIDTH, 3, 3), f"v{k}": (WIDTH, WIDTH, 3, 3)}
    nodes += [f"p=GlobalAveragePool(r{BLOCKS})", "f=Flatten(p)", "y=Gemm<transB=1>(f,head,last)"]
    drawn = {k: random.normal(size=d).astype("f4") for k, d in shapes.items()}
    drawn |= {k.replace("w", "b").replace("v", "d"): np.zeros(WIDTH, "f4") for k in shapes}
    drawn |= {"head": random.normal(size=(6, WIDTH)).astype("f4"), "last": np.zeros(6, "f4")}
    header = f'<ir_version: 8, opset_import: ["": 17]> g (float[N,3,{SIDE},{SIDE}] x) => (float[N,6] y)'
    return parse(f"{header} {{ {' '.join(nodes)} }}", **drawn)


def folded(document: Document, x: np.ndarray, random: np.random.Generator) -> Document:
    """Every convolution normalised on x, with drawn gamma and beta, and folded."""
    stem = [("w", "b", "a")] if "w" in document.weights else []
    blocks = ((f"w{k}", f"b{k}", f"a{k}", f"v{k}", f"d{k}", f"c{k}") for k in range(1, BLOCKS + 1))
    names = [*stem, ("w0", "b0", "a0"), *(part for b in blocks for part in (b[:3], b[3:]))]
    for weight, bias, value in names:
        seen = run(document, value, x)
        gain = random.uniform(0.5, 1.0, WIDTH) / seen.std((0, 2, 3))
        beta = 0.3 * random.normal(size=WIDTH)
        edit = document.edit()
        edit.set_tensor(weight, (document.weights.array(weight) * gain[:, None, None, None]).astype("f4"))
        edit.set_tensor(bias, (beta - gain * seen.mean((0, 2, 3))).astype("f4"))
        document = edit.finish()
    return document


def run(document: Document, value: str, x: np.ndarray) -> np.ndarray:
    with Session.open(with_outputs(document, [value]), provider="cpu") as session:
        return np.asarray(session.run({"x": x}, [value])[value])


def pictures(random: np.random.Generator, count: int = 96) -> np.ndarray:
    """Smooth noise that nobody standardised: a mean of four standard deviations, where zero is the guess."""
    spots = random.exponential(size=(count, 3, SIDE + 2, SIDE + 2))
    smooth = sum(spots[:, :, i : i + SIDE, j : j + SIDE] for i in range(3) for j in range(3))
    return np.asarray((smooth - smooth.mean()) / smooth.std() + 4, np.float32)


def damage(document: Document, x: np.ndarray, method: str, compensation: str | None = None) -> float:
    """Squared error of the last features over their variance when a quarter of every block's filters go."""
    include = [f"w{k}" for k in range(1, BLOCKS + 1)]
    reduced = merge(document, 0.5, method, keep=0.75, include=include, compensation=compensation)
    assert all(reduced.after.group(name).size == 0.75 * WIDTH for name in include)
    before, after = (run(d, f"r{BLOCKS}", x) for d in (document, reduced.document))
    return float(
        ((before - after) ** 2).sum() / ((before - before.mean((0, 2, 3), keepdims=True)) ** 2).sum()
    )


@pytest.fixture(scope="module", params=[False, True], ids=["stem", "entry and stem"])
def nets(request: pytest.FixtureRequest) -> list[tuple[Document, np.ndarray]]:
    random = np.random.default_rng(3)
    x = [pictures(random) for _ in range(3)]
    return [(folded(residual_net(random, request.param), images, random), images) for images in x]


@pytest.mark.parametrize("method", ["obs", "refine", "ward", "cluster"])
def test_means_that_nobody_knows_do_no_harm(
    nets: list[tuple[Document, np.ndarray]], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers that are fitted are better than summed ones; with means derived from a guess they are worse."""
    fitted = sum(damage(*net, method) for net in nets)
    summed = sum(damage(*net, method, "weighted-mean") for net in nets)
    assert fitted < summed
    ask = Feeds.of

    def believed(feeds: Feeds, source: Source) -> Feed | None:
        found = ask(feeds, source)
        return None if found is None else replace(found, guessed=False)

    monkeypatch.setattr(Feeds, "of", believed)
    assert sum(damage(*net, method) for net in nets) > 1.2 * fitted
