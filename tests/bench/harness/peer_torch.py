"""torch-pruning's group norm on the torch model of a training run, exported to ONNX by `training/`."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import onnx
from jobs import Absent, Job

ROOT = Path(__file__).parents[3]


def group_norm(job: Job) -> onnx.ModelProto:
    """GroupMagnitudeImportance (p = 2) over all members of a dependency group, local ratio per layer."""
    torch, pruning = _libraries()
    model, shape = _network(job)
    kept = onnx.load(job.model)
    example = torch.zeros(2, *shape)
    layers = _layers(model, job.include)
    ratio = 1 - job.keep
    pruner = pruning.pruner.BasePruner(
        model,
        example,
        importance=pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.0 if layers else ratio,
        pruning_ratio_dict=dict.fromkeys(layers, ratio),
        ignored_layers=[[m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]],
    )
    pruner.step()
    batchnorm = any(node.op_type == "BatchNormalization" for node in kept.graph.node)
    return _exported(model.eval(), example, batchnorm)


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import torch_pruning
    except ImportError as error:
        raise Absent(f"{error}; pip install '.[bench,train]'") from None
    torch.set_num_threads(1)
    sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]
    return torch, torch_pruning


def _network(job: Job) -> tuple[Any, tuple[int, int, int]]:
    """The torch model and the shape of its images, from the folder of the run that made the file."""
    from training.checkpoint import load_checkpoint
    from training.config import TrainConfig
    from training.models import build_model

    run = _run(job)
    graph = onnx.load(job.model).graph
    shape = tuple(d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)[1:]
    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    model = build_model(TrainConfig.load(run / "config.json"), shape, classes)
    model.load_state_dict(load_checkpoint(run / "last.pt")["model"])
    return model.eval(), shape


def _run(job: Job) -> Path:
    if job.runs is None:
        raise Absent("no folder of training runs was given (--runs)")
    stem = job.model.stem
    tried = [job.runs / stem, job.runs / re.sub(r"_(bn|folded)$", "", stem)]
    found = next((run for run in tried if (run / "last.pt").exists()), None)
    if found is None:
        raise Absent(f"no checkpoint {' or '.join(f'{t.name}/last.pt' for t in tried)} in {job.runs}")
    return found


def _layers(model: Any, include: tuple[str, ...]) -> list[Any]:
    """The modules whose weights the patterns name."""
    return [
        module
        for name, module in model.named_modules()
        if hasattr(module, "weight") and any(fnmatchcase(f"{name}.weight", p) for p in include)
    ]


def _exported(model: Any, example: Any, batchnorm: bool) -> onnx.ModelProto:
    from training import export

    return export._converted(export._dynamo, model, example, batchnorm, None)
