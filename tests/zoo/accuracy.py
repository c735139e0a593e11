"""Known accuracies of published models, before and after merging: `python tests/zoo/accuracy.py [TAU]...`

The data are read from the folder that ONNXDUP_DATA names (default: ../shared/data beside the checkout), with
the preprocessing that the manifest states.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1]), str(HERE.parent)]

from zoo_files import CHECKOUT, FOLDER  # noqa: E402

from onnxdup.evaluation import evaluate  # noqa: E402
from onnxdup.graph import Document, load  # noqa: E402
from onnxdup.reduce import merge  # noqa: E402

DATA = Path(os.environ.get("ONNXDUP_DATA", CHECKOUT.parent / "shared" / "data"))
MEAN, SCALE = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1), np.float32(0.225)
TAUS = (1.0, 0.95)


class NoData(Exception):
    """Why an accuracy cannot be measured here."""


def labelled() -> list[dict[str, Any]]:
    """Lines of the manifest that state an accuracy."""
    manifest = FOLDER / "manifest.jsonl"
    lines = manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []
    return [line for line in map(json.loads, lines) if line.get("accuracy")]


def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Test images (n, channels, height, width) in [0, 1] and their labels. NoData where they are absent."""
    if name == "MNIST":
        if not (DATA / "mnist.npz").is_file():
            raise NoData(f"no mnist.npz in {DATA} (set ONNXDUP_DATA)")
        with np.load(DATA / "mnist.npz") as arrays:
            return (arrays["x_test"][:, None] / 255).astype(np.float32), arrays["y_test"]
    strips = sorted((DATA / "cifar10").glob("test_*.webp"))
    if not strips:
        raise NoData(f"no CIFAR-10 in {DATA} (set ONNXDUP_DATA)")
    try:
        from PIL import Image
    except ImportError:
        raise NoData("Pillow decodes the CIFAR-10 strips, and is not installed") from None
    pixels = np.concatenate([np.asarray(Image.open(p)).reshape(-1, 32, 32, 3) for p in strips])
    with np.load(DATA / "cifar10" / "labels.npz") as arrays:
        return (pixels.transpose(0, 3, 1, 2) / 255).astype(np.float32), arrays["y_test"]


def data_for(model: dict[str, Any], document: Document) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels as a line of the manifest says."""
    known = model["accuracy"]
    x, y = images(known["dataset"].split()[0])
    x = (x - MEAN) / SCALE if known["preprocess"].startswith("kw") else x
    x = x.transpose(0, 2, 3, 1) if known["layout"] == "NHWC" else x
    sizes = [d for d in (document.inputs[0].shape or ())[1:] if isinstance(d, int)]
    return x[: known["n"]].reshape(known["n"], *sizes), y[: known["n"]]


def accuracies(
    model: dict[str, Any], taus: tuple[float, ...] = TAUS
) -> dict[float | None, tuple[int, float]]:
    """(channels removed, top-1 accuracy) as it is (None) and merged at each tau."""
    document = load(FOLDER / model["file"])
    data = data_for(model, document)
    found: dict[float | None, tuple[int, float]] = {None: (0, _top1(document, data))}
    for tau in taus:
        reduction = merge(document, tau)
        found[tau] = (reduction.removed, _top1(reduction.document, data))
    return found


def _top1(document: Document, data: tuple[np.ndarray, np.ndarray]) -> float:
    result = evaluate(document, data, provider="cpu", timed=False)
    assert result.accuracy is not None
    return result.accuracy.top1


def main(arguments: list[str]) -> None:
    """A line per model, in Markdown."""
    taus = tuple(float(a) for a in arguments) or TAUS
    print(
        "| model | data | samples | manifest | measured |" + "".join(f" tau {t:g} (removed) |" for t in taus)
    )
    print("|---|---|---|---|---|" + "---|" * len(taus))
    for model in labelled():
        known = model["accuracy"]
        head = f"| {model['name']} | {known['dataset']} | {known['n']} | {known['acc']:.2%} |"
        try:
            found = accuracies(model, taus)
        except NoData as why:
            print(f"{head} skipped: {why} |" + " |" * len(taus))
            continue
        cells = "".join(f" {found[t][1]:.2%} ({found[t][0]}) |" for t in taus)
        print(f"{head} {found[None][1]:.2%} |{cells}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
