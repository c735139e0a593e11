"""Small models for the command line: one that is fine, and what people hand in instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.parser import parse_model

TEXT = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "test">
mlp (float[N, 4] x) => (float[N, 3] y)
{
    z = Gemm <transB = 1> (x, w1, b1)
    h = Relu (z)
    y = Gemm <transB = 1> (h, w2, b2)
}
"""
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n"


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Six hidden units, of which unit 5 is 2 x unit 0: the exact pass removes one."""
    random = np.random.default_rng(seed)
    found = {
        name: random.normal(size=shape)
        for name, shape in (("w1", (6, 4)), ("b1", 6), ("w2", (3, 6)), ("b2", 3))
    }
    found["w1"][5], found["b1"][5] = 2 * found["w1"][0], 2 * found["b1"][0]
    return {name: array.astype(np.float32) for name, array in found.items()}


def mlp(**changes: np.ndarray) -> onnx.ModelProto:
    """The model, with some weights replaced."""
    model = parse_model(TEXT)
    for name, array in {**weights(), **changes}.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def data(path: Path, labels: bool = True, **changes: np.ndarray) -> Path:
    """32 samples for the model, labelled by the model itself."""
    x = np.random.default_rng(1).normal(size=(32, 4)).astype(np.float32)
    w = weights()
    scores = np.maximum(x @ w["w1"].T + w["b1"], 0) @ w["w2"].T + w["b2"]
    arrays = {"x": x, **({"y": scores.argmax(1)} if labels else {}), **changes}
    np.savez(path, **arrays)
    return path


def external(path: Path) -> Path:
    """The model with its weights in `path`.data."""
    onnx.save_model(
        mlp(), str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=0
    )
    return path


def _write(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def _without_data(path: Path) -> None:
    Path(f"{external(path)}.data").unlink()


def _short_data(path: Path) -> None:
    Path(f"{external(path)}.data").write_bytes(b"123")


def _no_graph(path: Path) -> None:
    model = mlp()
    model.ClearField("graph")
    save(model, path)


def _dangling(path: Path) -> None:
    model = mlp()
    del model.graph.initializer[0]
    save(model, path)


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "m.onnx"),
    "empty": (_write(b""), "empty"),
    "truncated": (lambda path: path.write_bytes(mlp().SerializeToString()[:-40]), "m.onnx"),
    "lfs pointer": (_write(LFS), "git lfs pull"),
    "html": (_write(HTML), "HTML"),
    "not onnx": (_write(b"\x00\x01\x02PK" * 50), "m.onnx"),
    "no graph": (_no_graph, "m.onnx"),
    "folder": (lambda path: path.mkdir(), "m.onnx"),
    "missing external data": (_without_data, "m.onnx.data"),
    "short external data": (_short_data, "m.onnx.data"),
}
