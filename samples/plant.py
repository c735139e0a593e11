"""Widen fully connected layers with exact, positively scaled duplicates; the function stays as it is.

    python samples/plant.py IN.onnx OUT.onnx --plant fc1:128 --plant fc2:32 --seed 0

A duplicate of unit i in a ReLU layer has the row and the bias of i times a > 0, so its output is a times that
of i. The outgoing weights of i are shared out: each member of a group gets a random part of them, divided by
its scale. Scales are one, powers of two, and arbitrary; products are rounded to float32 as they come. The
units are shuffled at the end.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

PLANTED_KEY = "samples.planted"
"""Metadata key: JSON, how many duplicates each layer was given."""


@dataclass(frozen=True)
class Gemms:
    """Names of a layer's W (units, inputs) and b (units,) and of its only consumer's V (outputs, units)."""

    weight: str
    bias: str
    consumer: str


def plant(model: onnx.ModelProto, counts: dict[str, int], seed: int = 0) -> onnx.ModelProto:
    """A copy of `model` with ``counts[layer]`` duplicates in each layer, whose weight is ``layer.weight``.

    Raises `ValueError` for a layer that is not a Gemm (transB=1) read through one Relu by one Gemm
    (transB=1).
    """
    widened = onnx.ModelProto()
    widened.CopyFrom(model)
    rng = np.random.default_rng(seed)
    for layer, count in counts.items():
        _plant_layer(widened, _find(widened, f"{layer}.weight"), count, rng)
    del widened.graph.value_info[:]
    entry = widened.metadata_props.add()
    entry.key, entry.value = PLANTED_KEY, json.dumps(counts)
    return onnx.shape_inference.infer_shapes(widened, strict_mode=True)


def draw_scales(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) positive scales: a fifth are 1, a fifth powers of two, the others anything in [1/4, 4]."""
    kind = rng.random(count)
    free = np.exp(rng.uniform(np.log(0.25), np.log(4), count))
    powers = 2.0 ** rng.integers(-2, 3, count)
    return np.where(kind < 0.2, 1.0, np.where(kind < 0.4, powers, free)).astype(np.float32).astype(np.float64)


def _plant_layer(model: onnx.ModelProto, names: Gemms, count: int, rng: np.random.Generator) -> None:
    tensors = {t.name: t for t in model.graph.initializer}
    w, b, v = (numpy_helper.to_array(tensors[name]) for name in (names.weight, names.bias, names.consumer))
    parent = np.concatenate([np.arange(len(w)), rng.integers(len(w), size=count)])
    scale = np.concatenate([np.ones(len(w)), draw_scales(count, rng)])
    part = rng.uniform(0.5, 1.5, len(parent))
    part /= np.bincount(parent, weights=part)[parent]
    order = rng.permutation(len(parent))
    parent, scale, part = parent[order], scale[order], part[order]
    _replace(tensors[names.weight], w[parent] * scale[:, None])
    _replace(tensors[names.bias], b[parent] * scale)
    _replace(tensors[names.consumer], v[:, parent] * (part / scale))


def _replace(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), tensor.name))


def _find(model: onnx.ModelProto, weight: str) -> Gemms:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    gemm = _only(readers, weight, "Gemm")
    relu = _only(readers, gemm.output[0], "Relu")
    return Gemms(weight, gemm.input[2], _only(readers, relu.output[0], "Gemm").input[1])


def _only(readers: dict[str, list[onnx.NodeProto]], name: str, op_type: str) -> onnx.NodeProto:
    nodes = readers.get(name, [])
    if len(nodes) != 1 or nodes[0].op_type != op_type:
        raise ValueError(f"{name} must be read by one {op_type}, but is read by {[n.op_type for n in nodes]}")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in nodes[0].attribute}
    if op_type == "Gemm" and (
        not attributes.get("transB") or attributes.get("transA") or len(nodes[0].input) < 3
    ):
        raise ValueError(f"{nodes[0].name} must be a Gemm with bias, transA=0 and transB=1")
    return nodes[0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Widen fully connected layers with exact scaled duplicates.")
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--plant", action="append", default=[], metavar="LAYER:COUNT", required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    counts = {layer: int(count) for layer, _, count in (item.rpartition(":") for item in args.plant)}
    model = plant(onnx.load(args.source), counts, args.seed)
    onnx.checker.check_model(model, full_check=True)
    args.output.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
