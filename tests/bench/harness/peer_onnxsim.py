"""onnxsim's structured pruning, straight on the ONNX file.

It has no list of layers to cut and also cuts residual streams. Values that are outputs of the model are never
cut, so that the layers that shall stay are made outputs for the call. It does not see through
BatchNormalization, which it expects to be fused: files with it are first simplified by onnxsim itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from jobs import Absent, Job
from ours import open_groups

from onnxdup.channels import trace
from onnxdup.graph import load

BATCH = 64


def magnitude(job: Job) -> onnx.ModelProto:
    """apply_structured_pruning with the L2 norm."""
    pruning = _module("pruning")
    return _cut(job, lambda model: pruning.apply_structured_pruning(model, sparsity=1 - job.keep))[1]


def with_ridge(job: Job) -> onnx.ModelProto:
    """The same, and every Gemm and MatMul fitted again to the original's activations (not Conv)."""
    pruning, finetune = _module("pruning"), _module("finetune")
    base, cut = _cut(job, lambda model: pruning.apply_structured_pruning(model, sparsity=1 - job.keep))
    return finetune.apply_pruning_finetune(base, cut, _batches(job))


def wanda(job: Job) -> onnx.ModelProto:
    """apply_structured_wanda_pruning: norm of the weights times that of what the next layer reads."""
    pruning = _module("pruning")
    return _cut(
        job, lambda m: pruning.apply_structured_wanda_pruning(m, _batches(job), sparsity=1 - job.keep)
    )[1]


def _module(name: str) -> Any:
    try:
        import onnxsim
    except ImportError as error:
        raise Absent(f"onnxsim is not installed ({error}); pip install '.[bench]'") from None
    found = getattr(onnxsim, name, None)
    if found is None:
        raise Absent(f"onnxsim {onnxsim.__version__} has no {name}; it needs 0.8 or later")
    return found


def _cut(
    job: Job, cut: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """(the model that was cut, the cut model)."""
    model = _fused(onnx.load(job.model))
    fences = _fences(model, job.include) if job.include else []
    fenced = onnx.ModelProto()
    fenced.CopyFrom(model)
    fenced.graph.output.extend(onnx.ValueInfoProto(name=name) for name in fences)
    reduced = cut(fenced)
    del reduced.graph.output[len(model.graph.output) :]
    return model, reduced


def _fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its BatchNormalization fused, if it has any, and the weights under their old names."""
    if not any(node.op_type == "BatchNormalization" for node in model.graph.node):
        return model
    import onnxsim

    names = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    fused, _ = onnxsim.simplify(model)
    convs = [node for node in fused.graph.node if node.op_type == "Conv"]
    if len(convs) != len(names):
        raise Absent("onnxsim.simplify changed the number of convolutions")
    new = {conv.input[1]: name for conv, name in zip(convs, names, strict=True)}
    for tensor in fused.graph.initializer:
        tensor.name = new.get(tensor.name, tensor.name)
    for conv in convs:
        conv.input[1] = new[conv.input[1]]
    return fused


def _fences(model: onnx.ModelProto, include: tuple[str, ...]) -> list[str]:
    """Outputs of the layers that shall keep all their channels."""
    traced = trace(load(model))
    cut = {b.tensor for group in open_groups(traced, include) for b in group.producers}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    taken = {value.name for value in model.graph.output}
    return [node.output[0] for node in layers if node.input[1] not in cut and node.output[0] not in taken]


def _batches(job: Job) -> list[dict[str, np.ndarray[Any, Any]]] | None:
    if job.calibration is None:
        return None
    name = onnx.load(job.model).graph.input[0].name
    with np.load(job.calibration) as held:
        x = held["x"]
    return [{name: x[k : k + BATCH]} for k in range(0, len(x), BATCH)]
