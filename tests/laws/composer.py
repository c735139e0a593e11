"""Random nets with planted duplicates, built without onnxdup: the composer keeps its own book of channels.

A `Channels` is a set of coupled channels and every weight row that defines them. A value carries a list of
segments along its channel axis: whole `Channels`, or a number of channels that come from the graph input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper, parser

COPY, SIGN, POSITIVE, ANY = 0, 1, 2, 3


@dataclass(eq=False)
class Channels:
    """Coupled channels. `rows`: (tensor, first row, whether the rows scale with the channel)."""

    size: int
    symmetry: int = ANY
    rows: list[tuple[str, int, bool]] = field(default_factory=list)
    planted: int = 0


Segment = Channels | int


def width(segments: list[Segment]) -> int:
    """Channels in a row of segments."""
    return sum(s if isinstance(s, int) else s.size for s in segments)


@dataclass
class Net:
    """The net so far: text lines, weights, and what the current value carries."""

    rng: np.random.Generator
    dtype: type = np.float32
    lines: list[str] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    groups: list[Channels] = field(default_factory=list)
    value: str = "x"
    segments: list[Segment] = field(default_factory=lambda: [3])
    side: int = 8
    flat: bool = False

    # ---- pieces ------------------------------------------------------------------------------------------
    def name(self, stem: str) -> str:
        """A fresh name."""
        return f"{stem}{len(self.lines)}_{len(self.weights)}"

    def node(self, text: str) -> str:
        """Append `out = text`."""
        out = self.name("v")
        self.lines.append(f"{out}={text}")
        return out

    def weight(self, *shape: int, positive: bool = False) -> str:
        """A random weight with variance 1 / fan-in."""
        name, fan_in = self.name("w"), max(1, int(np.prod(shape[1:])))
        array = self.rng.random(shape) + 0.5 if positive else self.rng.normal(size=shape) / np.sqrt(fan_in)
        self.weights[name] = array.astype(self.dtype)
        return name

    def channels(self, size: int) -> Channels:
        """A new set of channels."""
        self.groups.append(Channels(size))
        return self.groups[-1]

    def define(self, segments: list[Segment], tensor: str, *, scales: bool) -> None:
        """The rows of `tensor` belong to the segments, in order."""
        start = 0
        for segment in segments:
            if isinstance(segment, Channels):
                segment.rows.append((tensor, start, scales))
            start += width([segment])

    def limit(self, symmetry: int) -> None:
        """Scales that the current value may have from here on."""
        for segment in self.segments:
            if isinstance(segment, Channels):
                segment.symmetry &= symmetry

    def linear(self, value: str, segments: list[Segment], *, scales: bool = True, size: int = 1) -> str:
        """A convolution or Gemm from the current channels of `value` to `segments`."""
        fan_in = width(self.segments) * (self.side**2 if self.flat else 1)
        kernel = () if self.flat else (size, size)
        w, b = self.weight(width(segments), fan_in, *kernel), self.weight(width(segments))
        self.define(segments, w, scales=scales)
        self.define(segments, b, scales=scales)
        if self.flat:
            return self.node(f"Gemm<transB=1>({value},{w},{b})")
        return self.node(f"Conv<pads=[{','.join([str(size // 2)] * 4)}]>({value},{w},{b})")

    def fresh(self, *, size: int = 1) -> None:
        """A layer to new channels."""
        new: list[Segment] = [self.channels(int(self.rng.integers(4, 9)))]
        self.value = self.linear(self.value, new, size=size)
        self.segments, self.side = new, 1 if self.flat else self.side

    @property
    def whole(self) -> bool:
        """No segment comes from the input."""
        return all(isinstance(s, Channels) for s in self.segments)

    # ---- the end -----------------------------------------------------------------------------------------
    def finish(self) -> None:
        """Flatten, and a last layer of 4 outputs."""
        flatten(self)
        self.value = self.linear(self.value, [4])

    def model(self) -> onnx.ModelProto:
        """The checked model with the present weights."""
        kind = "double" if self.dtype is np.float64 else "float"
        body = " ".join([*self.lines, f"y=Identity({self.value})"])
        text = f"g ({kind}[2,3,8,8] x) => ({kind}[2,4] y) {{ {body} }}"
        model = parser.parse_model('<ir_version: 8, opset_import: ["": 17]>\n' + text)
        model.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in self.weights.items())
        onnx.checker.check_model(model, full_check=True)
        return model

    def plant(self) -> None:
        """Overwrite some channels of every group by multiples of others, as its symmetry allows."""
        for group in self.groups:
            group.planted = int(self.rng.integers(0, group.size // 2 + 1))
            order = self.rng.permutation(group.size)
            for target in order[: group.planted]:
                source = self.rng.choice(order[group.planted :])
                scale = self.scale(group.symmetry)
                for tensor, start, scales in group.rows:
                    rows = self.weights[tensor]
                    rows[start + target] = rows[start + source] * rows.dtype.type(scale if scales else 1)

    def scale(self, symmetry: int) -> float:
        """A random scale of the class."""
        size = float(np.exp(self.rng.uniform(-1, 1))) if symmetry & POSITIVE else 1.0
        return size * (float(self.rng.choice([-1, 1])) if symmetry & SIGN else 1.0)

    def expected_rows(self) -> dict[str, int]:
        """Length of axis 0 of every weight that defines channels, after an exact merge."""
        lengths = {t: len(self.weights[t]) for g in self.groups for t, _, _ in g.rows}
        for group in self.groups:
            for tensor, _, _ in group.rows:
                lengths[tensor] -= group.planted
        return lengths

    def linear_rows(self) -> set[str]:
        """Weights with rows of channels that may have any scale: those that meet linear operators alone."""
        return {t for g in self.groups if g.symmetry == ANY for t, _, _ in g.rows}


# ---- blocks ------------------------------------------------------------------------------------------------
def activation(text: str, symmetry: int) -> Callable[[Net], None]:
    """An element-wise function."""

    def block(net: Net) -> None:
        net.value = net.node(text.format(net.value))
        net.limit(symmetry)

    return block


def pool(text: str, symmetry: int) -> Callable[[Net], None]:
    """A 2×2 pooling with stride 1."""

    def block(net: Net) -> None:
        if not net.flat and net.side > 2:
            net.value, net.side = net.node(text.format(net.value)), net.side - 1
            net.limit(symmetry)

    return block


def batch_norm(net: Net) -> None:
    """BatchNormalization; over the flattened map only where it has one place per channel."""
    if net.flat and net.side > 1:
        return
    n = width(net.segments)
    gamma, beta, mean = net.weight(n, positive=True), net.weight(n), net.weight(n)
    var = net.weight(n, positive=True)
    for tensor, scales in ((gamma, False), (beta, True), (mean, True), (var, False)):
        net.define(net.segments, tensor, scales=scales)
    net.value = net.node(f"BatchNormalization({net.value},{gamma},{beta},{mean},{var})")


def depthwise(net: Net) -> None:
    """A 3×3 depthwise convolution."""
    if net.flat or not net.whole:
        return
    n = width(net.segments)
    w, b = net.weight(n, 1, 3, 3), net.weight(n)
    net.define(net.segments, w, scales=False)
    net.define(net.segments, b, scales=True)
    net.value = net.node(f"Conv<group={n},pads=[1,1,1,1]>({net.value},{w},{b})")


def residual(net: Net) -> None:
    """x + f(x)."""
    if net.whole and (not net.flat or net.side == 1):
        net.value = net.node(f"Add({net.value},{net.linear(net.value, net.segments)})")


def dense_block(net: Net) -> None:
    """concat(x, relu(f(x)))."""
    if net.flat and net.side > 1:
        return
    new = net.channels(int(net.rng.integers(3, 7)))
    new.symmetry &= POSITIVE
    branch = net.node(f"Relu({net.linear(net.value, [new], size=1 if net.flat else 3)})")
    net.value = net.node(f"Concat<axis=1>({net.value},{branch})")
    net.segments = [*net.segments, new]


def split_block(net: Net) -> None:
    """Split at a segment, transform the first part, concatenate again."""
    if len(net.segments) < 2 or (net.flat and net.side > 1):
        return
    head, tail = net.segments[:1], net.segments[1:]
    sizes = net.name("s")
    net.weights[sizes] = np.array([width(head), width(tail)], np.int64)
    first, second = net.name("p"), net.name("q")
    net.lines.append(f"{first},{second}=Split<axis=1>({net.value},{sizes})")
    net.segments, new = head, net.channels(5)
    branch = net.linear(first, [new])
    net.value, net.segments = net.node(f"Concat<axis=1>({branch},{second})"), [new, *tail]


def gate(net: Net) -> None:
    """sigmoid(f(x)) · g(x): the rows of f are copied, those of g scale."""
    new: list[Segment] = [net.channels(int(net.rng.integers(4, 8)))]
    control, value = net.linear(net.value, new, scales=False), net.linear(net.value, new)
    net.value = net.node(f"Mul({net.node(f'Sigmoid({control})')},{value})")
    net.segments, net.side = new, 1 if net.flat else net.side


def squeeze_excite(net: Net) -> None:
    """x · sigmoid(f(relu(g(mean(x)))))."""
    if net.flat or not net.whole:
        return
    kept, squeezed = net.segments, net.channels(4)
    squeezed.symmetry &= POSITIVE
    hidden = net.node(f"Relu({net.linear(net.node(f'GlobalAveragePool({net.value})'), [squeezed])})")
    net.segments = [squeezed]
    control = net.linear(hidden, kept, scales=False)
    net.value = net.node(f"Mul({net.value},{net.node(f'Sigmoid({control})')})")
    net.segments = kept


def flatten(net: Net) -> None:
    """To a matrix; each channel takes side² columns of the next layer."""
    if not net.flat:
        net.value, net.flat = net.node(f"Flatten({net.value})"), True


BLOCKS: dict[str, Callable[[Net], None]] = {
    "layer": lambda net: net.fresh(),
    "layer3": lambda net: net.fresh(size=3),
    "relu": activation("Relu({})", POSITIVE),
    "leaky": activation("LeakyRelu<alpha=0.2>({})", POSITIVE),
    "tanh": activation("Tanh({})", SIGN),
    "sigmoid": activation("Sigmoid({})", COPY),
    "softplus": activation("Softplus({})", COPY),
    "abs": activation("Abs({})", POSITIVE),
    "identity": activation("Identity({})", ANY),
    "max_pool": pool("MaxPool<kernel_shape=[2,2]>({})", POSITIVE),
    "average_pool": pool("AveragePool<kernel_shape=[2,2]>({})", ANY),
    "batch_norm": batch_norm,
    "depthwise": depthwise,
    "residual": residual,
    "dense": dense_block,
    "split": split_block,
    "gate": gate,
    "squeeze_excite": squeeze_excite,
    "flatten": flatten,
}


def compose(blocks: list[str], seed: int, dtype: type = np.float32) -> Net:
    """A finished net of these blocks, duplicates planted."""
    net = Net(np.random.default_rng(seed), dtype)
    for block in blocks:
        BLOCKS[block](net)
    net.finish()
    net.plant()
    return net
