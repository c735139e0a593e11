"""Copies are found and merged wherever a weight is stored, in every float type."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from laws.oracle import relative_error, run_reference, run_runtime, widen, widen_feeds
from laws.surgeon import copy_of
from onnx import TensorProto, helper, numpy_helper, parser

from onnxdup.graph import load, write
from onnxdup.reduce import Reduction, merge

TYPES = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}
NUMBERS = {"float16": 10, "bfloat16": 16, "float": 1, "double": 11}
STORAGE = ("raw", "typed", "constant", "external")
CHAINS = {
    "none": ("", "w1", "w2"),
    "identity": ("t=Identity(w1) u=Identity(w2)", "t", "u"),
    "two_identities": ("s=Identity(w1) t=Identity(s) u=Identity(w2)", "t", "u"),
    "transpose": ("t=Transpose(v1) u=Transpose(v2)", "t", "u"),
    "transpose_twice": ("s=Transpose(w1) t=Transpose(s) u=Identity(w2)", "t", "u"),
    "reshape": ("t=Reshape(v1,shape1) u=Reshape(v2,shape2)", "t", "u"),
    "squeeze": ("t=Squeeze(v1,first) u=Squeeze(v2,first)", "t", "u"),
    "unsqueeze_squeeze": (
        "s=Unsqueeze(w1,first) t=Squeeze(s,first) r=Unsqueeze(w2,first) u=Squeeze(r,first)",
        *("t", "u"),
    ),
    "squeeze_transpose": ("s=Squeeze(v1,first) t=Transpose(s) u=Identity(w2)", "t", "u"),
    "cast": ("t=Cast<to=KIND>(w1) u=Cast<to=KIND>(w2)", "t", "u"),
    "cast_transpose": ("s=Cast<to=KIND>(v1) t=Transpose(s) u=Identity(w2)", "t", "u"),
    "unsqueezed_bias": ("c=Unsqueeze(b1,first)", "w1", "w2"),
}
VIEWS = {
    "transpose": lambda w: w.T,
    "cast_transpose": lambda w: w.T,
    "reshape": lambda w: w.reshape(-1, 2, w.shape[1]),
    "squeeze": lambda w: w[None],
    "squeeze_transpose": lambda w: w.T[None],
}


def weights(dtype: np.dtype, seed: int = 0) -> dict[str, np.ndarray]:
    """Filters are columns of w1; filter 4 copies filter 1."""
    rng = np.random.default_rng(seed)
    w1, b1 = rng.normal(size=(12, 8)) * 0.3, rng.normal(size=8)
    w1[:, 4], b1[4] = w1[:, 1], b1[1]
    return {n: a.astype(dtype) for n, a in {"w1": w1, "b1": b1, "w2": rng.normal(size=(8, 4)) * 0.3}.items()}


def stored(array: np.ndarray, name: str, storage: str) -> TensorProto:
    """A tensor in raw data or in its typed field."""
    if storage != "typed":
        return numpy_helper.from_array(array, name)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    wide = array.astype(np.float64) if kind == TensorProto.DOUBLE else array.astype(np.float32)
    values = array.ravel().view(np.uint16).tolist() if array.dtype.itemsize == 2 else wide.ravel().tolist()
    made = TensorProto(name=name, data_type=kind, dims=array.shape)
    field = {2: made.int32_data, 4: made.float_data, 8: made.double_data}[array.dtype.itemsize]
    field.extend(values)
    return made


def model_of(kind: str, chain: str, storage: str, *, left: bool = False) -> onnx.ModelProto:
    """MatMul, Add, Relu, MatMul with weights in the given place."""
    dtype, (body, first, second) = TYPES[kind], CHAINS[chain]
    held = weights(dtype)
    if chain in VIEWS:
        held |= {f"v{k}": VIEWS[chain](held[f"w{k}"]) for k in (1, 2)}
    sizes = {"shape1": (12, 8), "shape2": (8, 4), "first": (0,)}
    held |= {n: np.array(v, np.int64) for n, v in sizes.items()}
    bias = "c" if chain == "unsqueezed_bias" else "b1"
    if left:
        held["b1"] = held["b1"].reshape(8, 1)
        body += (
            f" l=Transpose({first}) k=Transpose({second}) a=MatMul(l,x) m=Add(a,b1) h=Relu(m) y=MatMul(k,h)"
        )
        ends = f"{kind}[12,N] x) => ({kind}[4,N] y)"
    else:
        body += f" a=MatMul(x,{first}) m=Add(a,{bias}) h=Relu(m) y=MatMul(h,{second})"
        ends = f"{kind}[N,12] x) => ({kind}[N,4] y)"
    text = (
        f'<ir_version: 8, opset_import: ["": 17]> g ({ends} {{ {body.replace("KIND", str(NUMBERS[kind]))} }}'
    )
    model = parser.parse_model(text)
    used = {x for n in model.graph.node for x in n.input}
    for name, array in held.items():
        if name in used:
            add(model, stored(array, name, storage), storage)
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model


def add(model: onnx.ModelProto, tensor: TensorProto, storage: str) -> None:
    """As an initializer, or as a Constant node in front."""
    if storage != "constant":
        model.graph.initializer.append(tensor)
        return
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor), *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def merged(model: onnx.ModelProto, storage: str, folder: Path) -> tuple[Reduction, onnx.ModelProto]:
    """Merge the file and read back what was written."""
    path = folder / "model.onnx"
    onnx.save(
        *(copy_of(model), path),
        save_as_external_data=storage == "external",
        location="model.data",
        size_threshold=0,
    )
    reduction = merge(load(path))
    small = onnx.load(write(reduction.document, folder / "small.onnx")[0])
    onnx.checker.check_model(small, full_check=True)
    return reduction, small


def error(kind: str, before: onnx.ModelProto, after: onnx.ModelProto, *, left: bool) -> float:
    """Under onnxruntime, or where it has no kernels with float64 twins of both."""
    x = np.random.default_rng(5).normal(size=(12, 6) if left else (6, 12)).astype(TYPES[kind])
    if kind != "bfloat16":
        return relative_error(run_runtime(before, {"x": x}), run_runtime(after, {"x": x}))
    feeds = widen_feeds({"x": x})
    return relative_error(run_reference(widen(before), feeds), run_reference(widen(after), feeds))


TOLERANCE = {"float16": 4e-3, "bfloat16": 1e-2, "float": 1e-5, "double": 1e-12}
CASES = [
    *product(TYPES, CHAINS, ("raw",), (False,)),
    *product(TYPES, ("none",), STORAGE[1:], (False,)),
    *product(TYPES, ("none", "transpose"), ("raw",), (True,)),
    *product(("float",), CHAINS, ("constant",), (False,)),
]


@pytest.mark.parametrize(("kind", "chain", "storage", "left"), CASES)
def test_one_copy_is_merged(tmp_path: Path, kind: str, chain: str, storage: str, left: bool) -> None:
    model = model_of(kind, chain, storage, left=left)
    reduction, small = merged(model, storage, tmp_path)
    assert reduction.removed == 1, [(g.name, str(g.frozen)) for g in reduction.before.groups]
    assert error(kind, model, small, left=left) <= TOLERANCE[kind]
    stores = {t.data_type for t in small.graph.initializer} - {TensorProto.INT64}
    assert stores <= {NUMBERS[kind]}


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sums_that_overflow_are_refused_one_by_one(tmp_path: Path, kind: str) -> None:
    model = model_of(kind, "none", "raw")
    held = next(t for t in model.graph.initializer if t.name == "w2")
    array = numpy_helper.to_array(held).copy()
    large = np.array(60000 if kind == "float16" else 3e38, TYPES[kind])
    array[1, 0] = array[4, 0] = large
    held.CopyFrom(numpy_helper.from_array(array, "w2"))
    reduction, _ = merged(model, "raw", tmp_path)
    assert reduction.removed == 0
    assert [p.reason for p in reduction.left] == [f"the sum does not fit {kind}"]
    assert reduction.notes == (f"w1: 1 proven duplicate left, the sum does not fit {kind}",)
