"""Files whose shapes nobody knows (custom operators in front): what is free without shapes obeys the laws.

Every architecture is traced as if inference and the runtime were silent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from architectures import ARCHITECTURES
from laws.bench import error_32, random_of, serialise
from laws.test_captured import copy, rearranged
from onnx import numpy_helper, parser

from onnxdup.channels import trace
from onnxdup.errors import OnnxdupError
from onnxdup.graph import Document, load
from onnxdup.reduce import Reduction, merge

NAMES = sorted(ARCHITECTURES)
FREED = 120
"""Of these at least so many have free groups without shapes."""


def weights_only(document: Document, *_: object) -> dict[str, tuple[int, ...]]:
    return {name: document.weights.info(name).shape for name in document.weights}


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No shapes but those of weights."""
    module = sys.modules["onnxdup.channels.trace"]
    monkeypatch.setattr(module, "known_shapes", weights_only)
    monkeypatch.setattr(module, "observe", lambda *_: {})
    monkeypatch.setattr(sys.modules["onnxdup.surgery.operation"], "observe", lambda *_: {})
    yield


def free_groups(model: onnx.ModelProto) -> list[Any]:
    groups = [g for g in trace(load(model)).groups if g.frozen is None and g.size >= 2]
    stored = {t.name for t in model.graph.initializer}
    return [g for g in groups if all(not b.private and b.tensor in stored for b in g.bindings)]


@pytest.mark.usefixtures("silent")
def test_enough_is_free() -> None:
    free = [any(g.frozen is None for g in trace(load(ARCHITECTURES[n].model())).groups) for n in NAMES]
    assert sum(free) >= FREED


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_merged_keeps_the_outputs(name: str) -> None:
    """Copies in a random part of the weights, then in every free group whose tensors are its own."""
    entry, rng = ARCHITECTURES[name], random_of(name)
    made = entry.model()
    for tensor in made.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        for axis in range(values.ndim if values.dtype.kind == "f" and rng.random() < 0.8 else 0):
            if values.shape[axis] >= 5:
                view = np.moveaxis(values, axis, 0)
                view[4] = view[1]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    check_merged(name, made)
    planted = entry.model()
    groups = free_groups(planted)
    for group in groups:
        planted = rearranged(planted, group, copy(group, 0, 1), rows_only=True)
    found = check_merged(name, planted)
    assert found.removed >= len(groups)


def check_merged(name: str, made: onnx.ModelProto) -> Reduction:
    found = merge(load(made))
    small = onnx.ModelProto.FromString(serialise(found.document))
    onnx.checker.check_model(small)
    assert error_32(ARCHITECTURES[name], made, small) <= max(ARCHITECTURES[name].tolerance, 2e-5)
    return found


BEHIND = """
<ir_version: 8, opset_import: ["": 17, "far.away": 1]>
g (float[N] s) => (float[N,5,H,W] y) {
  x = far.away.Decode(s)
  a = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(a) n = Mul(r, scale) c = Conv(n, w2, b2)
  t = Relu(c) e = Concat<axis=1>(r, r) z = Conv(t, w3, b3) q = Conv(e, w4) y = Add(z, q)
}
"""
SHAPES = {"w1": (16, 3, 3, 3), "b1": (16,), "scale": (16, 1, 1), "w2": (12, 16, 1, 1), "b2": (12,)}
SHAPES |= {"w3": (5, 12, 1, 1), "b3": (5,), "w4": (5, 32, 1, 1)}


def test_layers_behind_an_operator_that_nobody_knows() -> None:
    """Channels are followed, copies are found, and the file that comes out is as valid as it was."""
    made = parser.parse_model(BEHIND)
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        values = rng.normal(size=shape).astype(np.float32)
        if name in ("w1", "b1", "scale", "w2", "b2"):
            values[7] = values[2]
        made.graph.initializer.append(numpy_helper.from_array(values, name))
    found = merge(load(made))
    assert {g.name: str(g.frozen or "") for g in found.before.groups}["w1"] == ""
    rows = {t.name: t.dims[0] for t in load_proto(found).graph.initializer}
    assert (rows["w1"], rows["w2"]) == (15, 11)
    with pytest.raises(OnnxdupError):
        from onnxdup import verify

        verify(made, load_proto(found))


def load_proto(found: Reduction) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(serialise(found.document))
