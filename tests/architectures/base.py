"""What a micro-architecture is: ONNX text, seeded weights, and what the algebra says about its channels.

The expectations are written by hand. `free` and `frozen` name a group by one of its producer tensors;
`Plant` describes an exact relation between two of its channels, or a near miss that must be left alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

ANY, POSITIVE, SIGN, COPY = "ANY", "POSITIVE", "SIGN", "COPY"


@dataclass(frozen=True)
class Positive:
    """Weights drawn from [0.5, 1.5): variances, slopes that must not be zero, scales."""

    shape: tuple[int, ...]


Weight = tuple[int, ...] | Positive | np.ndarray


@dataclass(frozen=True)
class Group:
    """One expected channel group.

    `tensor` is one of its producers. `size` None: not prescribed. `symmetry`: the rescalings that all rows
    of the group may undergo together; further classes after a bar are accepted from the tracer, e.g.
    "COPY|SIGN". `frozen` is None for a free group, else a word of the reason ("" for any reason).
    """

    tensor: str
    size: int | None
    symmetry: str | None = None
    frozen: str | None = None

    @property
    def planted(self) -> str:
        """The class that duplicates are planted from; copies when nothing is stated."""
        return self.symmetry.split("|")[0] if self.symmetry else COPY


@dataclass(frozen=True)
class Plant:
    """Channel `target` becomes a function of channel `source`: row_j = factor * row_i + offset per tensor.

    `rows` maps tensor to (factor, offset); producers and carriers not listed are copied. `columns` maps
    consumers to a factor for column j (0: the channel is not read). `drop` is how many channels the exact
    merge must remove; 0 marks a near miss that must stay.
    """

    name: str
    tensor: str
    rows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    columns: Mapping[str, float] = field(default_factory=dict)
    drop: int = 1


@dataclass(frozen=True)
class Architecture:
    """A model as text with the table of its weights; `groups` None means that nothing is prescribed."""

    name: str
    text: str
    weights: Mapping[str, Weight]
    groups: tuple[Group, ...] | None
    plants: tuple[Plant, ...] = ()
    opset: int = 17
    ir: int = 8
    domains: Mapping[str, int] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    feed: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference: bool = True
    tolerance: float = 2e-5

    def model(self, seed: int = 0) -> onnx.ModelProto:
        """The checked model with weights drawn from `seed`."""
        model = parser.parse_model(self._header() + self.text)
        rng = np.random.default_rng(zlib.crc32(self.name.encode()) + seed)
        for name, spec in self.weights.items():
            tensor = numpy_helper.from_array(draw(spec, rng, self.dtype), name)
            model.graph.initializer.append(tensor)
            if name in self.listed:
                model.graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        onnx.checker.check_model(model, full_check=not self.domains)
        return model

    def _header(self) -> str:
        opsets = {"": self.opset, **self.domains}
        imports = ", ".join(f'"{domain}": {version}' for domain, version in opsets.items())
        return f"<ir_version: {self.ir}, opset_import: [{imports}]>\n"

    @property
    def dtype(self) -> np.dtype:
        """The float type of the weights: that of the first graph input unless it holds integers."""
        kind = self.text.split("(", 1)[1].split("[", 1)[0].strip()
        names = {"float16": np.float16, "double": np.float64, "bfloat16": ml_dtypes.bfloat16}
        return np.dtype(names.get(kind, np.float32))

    def feeds(self, seed: int = 0, batch: int = 3) -> dict[str, np.ndarray]:
        """Random inputs; symbolic dimensions are `batch`."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()) + 7919 + seed)
        inputs = parser.parse_model(self._header() + self.text).graph.input
        return {
            i.name: self.feed[i.name] if i.name in self.feed else draw_input(i, rng, batch) for i in inputs
        }


Groups = list[Group] | None


def draw(spec: Weight, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """One weight; normal with variance 1 / fan-in so that activations stay near one."""
    if isinstance(spec, np.ndarray):
        return spec
    if isinstance(spec, Positive):
        return (rng.random(spec.shape) + 0.5).astype(dtype)
    fan_in = max(1, int(np.prod(spec[1:]))) if len(spec) > 1 else 4
    return (rng.normal(size=spec) / np.sqrt(fan_in)).astype(dtype)


def draw_input(value: onnx.ValueInfoProto, rng: np.random.Generator, batch: int) -> np.ndarray:
    """A random array for one graph input: normal floats, integers below 5, fair booleans."""
    kind = value.type.tensor_type
    shape = [d.dim_value or batch for d in kind.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    if dtype == np.bool_:
        return np.asarray(rng.random(shape) < 0.5)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, 5, shape).astype(dtype)
    return np.asarray(rng.normal(size=shape)).astype(dtype)


def ints(*values: int) -> np.ndarray:
    """An int64 constant: shapes, axes, pads, indices."""
    return np.array(values, np.int64)


def floats(*values: float) -> np.ndarray:
    """A float32 constant of rank 1."""
    return np.array(values, np.float32)


def scalar(value: float) -> np.ndarray:
    """A float32 constant of rank 0."""
    return np.array(value, np.float32)


def positive(*shape: int) -> Positive:
    """Weights in [0.5, 1.5)."""
    return Positive(shape)


def free(tensor: str, size: int | None, symmetry: str | None = None) -> Group:
    """A group that may be merged."""
    return Group(tensor, size, symmetry)


def frozen(tensor: str, size: int | None = None, why: str = "") -> Group:
    """A group that must be left alone, with a word that its reason contains."""
    return Group(tensor, size, None, why)


def dense(width: int, fan_in: int, out: int = 5) -> dict[str, Weight]:
    """w1, b1 of a hidden layer and w9, b9 of the last one, both for Gemm with transB=1."""
    return {"w1": (width, fan_in), "b1": (width,), "w9": (out, width), "b9": (out,)}


class Catalogue:
    """Collects the architectures of one module; the helpers write the text around a body."""

    def __init__(self) -> None:
        self.entries: list[Architecture] = []

    def __iter__(self) -> Iterator[Architecture]:
        return iter(self.entries)

    def add(
        self,
        name: str,
        text: str,
        weights: Mapping[str, Weight],
        groups: Groups,
        **options: object,
    ) -> None:
        """An architecture whose text is given in full."""
        plants = tuple(options.pop("plants", ()))  # type: ignore[call-overload]
        expected = None if groups is None else tuple(groups)
        self.entries.append(Architecture(name, text, weights, expected, plants, **options))  # type: ignore[arg-type]

    def vector(
        self,
        name: str,
        body: str,
        weights: Mapping[str, Weight],
        groups: Groups,
        **options: object,
    ) -> None:
        """float[N,20] x to float[N,5] y; the body ends by defining y; w9 is the last layer, frozen."""
        head = [] if groups is None or "w9" not in weights else [frozen("w9", 5, "output of the model")]
        text = f"g (float[N,20] x) => (float[N,5] y) {{ {body} }}"
        self.add(name, text, weights, None if groups is None else [*groups, *head], **options)

    def image(
        self,
        name: str,
        body: str,
        last: tuple[str, int],
        weights: Mapping[str, Weight],
        groups: Groups,
        **options: object,
    ) -> None:
        """float[N,3,8,8] x through the body, then global average pool, flatten, Gemm(w9, b9).

        `last` is the body's final value and its number of channels.
        """
        value, channels = last
        body += f" p9=GlobalAveragePool({value}) f9=Flatten(p9) y=Gemm<transB=1>(f9,w9,b9)"
        weights = {**weights, "w9": (5, channels), "b9": (5,)}
        expected = None if groups is None else [*groups, frozen("w9", 5, "output of the model")]
        self.add(name, f"g (float[N,3,8,8] x) => (float[N,5] y) {{ {body} }}", weights, expected, **options)
