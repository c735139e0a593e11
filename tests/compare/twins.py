"""Copies of a model with the same function: channels in another order, of another scale, of another sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from laws.surgeon import adds, by_channel, copy_of, is_consumer, own, permute, read, store

from onnxdup import graph
from onnxdup.channels import Symmetry, trace


def twin(model: onnx.ModelProto, *, scaled: bool, seed: int = 0) -> onnx.ModelProto:
    """The model with every channel group that may be touched shuffled and, if asked for, rescaled."""
    random, copied = np.random.default_rng(seed), model
    for group in trace(graph.load(model)).groups:
        if group.frozen or group.peers or group.recurrences:
            continue
        copied = permute(copied, group, random.permutation(group.size))
        if scaled and not group.quantised and Symmetry.POSITIVE in group.symmetry:
            copied = rescaled(copied, group, np.exp(random.normal(size=group.size)))
        if scaled and not group.quantised and Symmetry.SIGN in group.symmetry:
            copied = rescaled(copied, group, random.choice([-1.0, 1.0], size=group.size))
    return copied


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every BatchNormalization behind a Conv without bias folded into weight and bias."""
    copied = copy_of(model)
    convs = {n.output[0]: n for n in copied.graph.node if n.op_type == "Conv" and len(n.input) == 2}
    for node in [n for n in copied.graph.node if n.op_type == "BatchNormalization" and n.input[0] in convs]:
        conv = convs[node.input[0]]
        gamma, beta, mean, var = (read(copied, name).astype(np.float64) for name in node.input[1:])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        gain = gamma / np.sqrt(var + epsilon)
        weight = read(copied, conv.input[1])
        store(copied, conv.input[1], (weight * gain[:, None, None, None]).astype(weight.dtype))
        bias = (beta - gain * mean).astype(weight.dtype)
        copied.graph.initializer.append(onnx.numpy_helper.from_array(bias, f"{conv.input[1]}.bias"))
        conv.input.append(f"{conv.input[1]}.bias")
        conv.output[0] = node.output[0]
        copied.graph.node.remove(node)
    return copied


def rescaled(model: onnx.ModelProto, group: Any, factors: np.ndarray) -> onnx.ModelProto:
    """Each channel times its factor: what adds to it is multiplied, what reads it divided."""
    copied = copy_of(model)
    for binding in group.bindings:
        name = own(copied, binding)
        stored = read(copied, name).copy()
        rows = by_channel(stored, binding)
        factor = np.broadcast_to(factors[:, None], binding.index.shape)
        factor = factor.reshape(*factor.shape, *[1] * (rows.ndim - 1)).astype(stored.dtype)
        if is_consumer(binding):
            rows[binding.index] = rows[binding.index] / factor
        elif adds(copied, binding):
            rows[binding.index] = rows[binding.index] * factor
        store(copied, name, stored)
    return copied
