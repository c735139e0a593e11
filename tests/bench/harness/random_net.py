"""Random nets of known size, built with the ONNX helper alone: ResNet-50 in float32, BatchNormalization kept.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1: bottleneck blocks
3, 4, 6, 3 of widths 64, 128, 256, 512, times `width`. Weights are drawn as He et al. (2015) do,
BatchNormalization like a trained net's: gamma near 1, beta near 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

BLOCKS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)


@dataclass
class _Builder:
    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, name: str, value: npt.NDArray[np.float64]) -> str:
        self.weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], name=name, **attributes))
        return f"{name}.out"

    def conv(self, x: str, name: str, n_in: int, n_out: int, kernel: int, stride: int = 1) -> str:
        """Convolution and batch normalisation."""
        drawn = self.rng.normal(0, (2 / (n_in * kernel**2)) ** 0.5, (n_out, n_in, kernel, kernel))
        y = self.node(
            "Conv",
            [x, self.weight(f"{name}.weight", drawn)],
            name,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
        )
        vectors = {
            "gamma": self.rng.normal(1, 0.2, n_out),
            "beta": self.rng.normal(0, 0.2, n_out),
            "mean": self.rng.normal(0, 0.2, n_out),
            "var": self.rng.uniform(0.5, 1.5, n_out),
        }
        stored = [self.weight(f"{name}.bn.{k}", v) for k, v in vectors.items()]
        return self.node("BatchNormalization", [y, *stored], f"{name}.bn")

    def relu(self, x: str, name: str) -> str:
        return self.node("Relu", [x], name)


def resnet50(
    width: float = 1.0, size: int = 224, classes: int = 1000, seed: int = 0, blocks: tuple[int, ...] = BLOCKS
) -> onnx.ModelProto:
    """A random ResNet-50 with a dynamic batch of images (3, size, size); all widths times `width`."""
    b = _Builder(np.random.default_rng(seed))
    widths = [max(4, round(w * width)) for w in WIDTHS]
    x = b.relu(b.conv("x", "stem", 3, widths[0], 7, 2), "stem.relu")
    x = b.node("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    n_in = widths[0]
    for stage, (count, w) in enumerate(zip(blocks, widths, strict=False)):
        for k in range(count):
            x = _bottleneck(b, x, f"stages.{stage}.{k}", n_in, w, 2 if stage and k == 0 else 1)
            n_in = 4 * w
    x = b.node("Flatten", [b.node("GlobalAveragePool", [x], "gap")], "flat")
    head = [
        b.weight("fc.weight", b.rng.normal(0, 0.02, (classes, n_in))),
        b.weight("fc.bias", np.zeros(classes)),
    ]
    b.nodes.append(helper.make_node("Gemm", [x, *head], ["logits"], name="fc", transB=1))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes,
        "resnet50",
        [value("x", onnx.TensorProto.FLOAT, ["batch", 3, size, size])],
        [value("logits", onnx.TensorProto.FLOAT, ["batch", classes])],
        b.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _bottleneck(b: _Builder, x: str, name: str, n_in: int, w: int, stride: int) -> str:
    y = b.relu(b.conv(x, f"{name}.conv1", n_in, w, 1), f"{name}.relu1")
    y = b.relu(b.conv(y, f"{name}.conv2", w, w, 3, stride), f"{name}.relu2")
    y = b.conv(y, f"{name}.conv3", w, 4 * w, 1)
    if n_in != 4 * w or stride != 1:
        x = b.conv(x, f"{name}.shortcut", n_in, 4 * w, 1, stride)
    return b.relu(b.node("Add", [y, x], f"{name}.add"), f"{name}.relu3")
