"""A trained run to ONNX: one file, dynamic batch, input ``x`` and output ``logits``, checked against torch.

The graph starts with the images as the network saw them in training, (batch, channels, height, width),
already scaled: scaling stays with the data (see `training.scaling`), and ``write_dataset`` writes scaled test
images.
"""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from training import tool
from training.checkpoint import SNAPPED, load_metrics, newest, restore_model
from training.config import TrainConfig
from training.data import ImageSet
from training.errors import ConfigError, TrainingError
from training.scaling import Scaling

Converter = Callable[[nn.Module, torch.Tensor, bool, int | None], onnx.ModelProto]

EXPORTERS = ("dynamo", "torchscript")
_LOCAL_METADATA = ("pkg.torch.onnx.stack_trace",)
"""Node metadata that holds paths of this machine."""


@dataclass(frozen=True)
class Parity:
    """How far onnxruntime's logits are from torch's on `images` test images."""

    images: int
    max_abs_error: float
    largest_logit: float
    agreement: float


def export(
    run: Path,
    data: ImageSet,
    output: Path,
    *,
    exporter: str = "dynamo",
    keep_batchnorm: bool = False,
    opset: int | None = None,
    checkpoint: str = "",
) -> Parity:
    """Write the network of `run` to `output` and compare it with torch on test images.

    Raises `TrainingError`, leaving no file, when checker or onnxruntime refuse the model or it computes
    otherwise.
    """
    if exporter not in EXPORTERS:
        raise ConfigError(f"--exporter is {exporter}, but must be one of {', '.join(EXPORTERS)}")
    checkpoint = checkpoint or newest(run)
    config, model, scaling = restore_model(run, data, checkpoint)
    model = model.to(memory_format=torch.contiguous_format)
    convert = _dynamo if exporter == "dynamo" else _torchscript
    example = torch.zeros(2, *data.shape)
    proto = _converted(convert, model, example, keep_batchnorm, opset)
    _drop_local_metadata(proto)
    onnx.helper.set_model_props(proto, _metadata(run, config, scaling, checkpoint))
    raw = proto.SerializeToString(deterministic=True)
    parity = _check(raw, model, scaling.apply(torch.from_numpy(data.x_test[:256])))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(raw)
    return parity


def write_dataset(path: Path, data: ImageSet, scaling: Scaling, *, limit: int = 0) -> int:
    """Write the test split as .npz with `x` (float32, scaled as in training) and `y` (int64); returns n."""
    images = data.x_test[: limit or None]
    x = scaling.apply(torch.from_numpy(images)).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, x=x, y=data.y_test[: len(x)])
    return len(x)


def add_sketch(model: Path, data: ImageSet, scaling: Scaling, images: int, seed: int = 0) -> None:
    """Store what `images` training images, drawn by `seed`, teach about the layers in the file `model`.

    `onnxdup calibrate` does it; a failure of it is a `TrainingError`.
    """
    drawn = np.random.default_rng(seed).permutation(len(data.x_train))[:images]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npz"
        np.savez(path, x=scaling.apply(torch.from_numpy(data.x_train[np.sort(drawn)])).numpy())
        tool.run("calibrate", model, "--data", path, "-o", model, "--in-place")


def _converted(
    convert: Converter, model: nn.Module, x: torch.Tensor, keep_batchnorm: bool, opset: int | None
) -> onnx.ModelProto:
    """The exporter's model; its failures, and another opset than the one asked for, are `TrainingError`."""
    try:
        with _quiet():
            proto = convert(model, x, keep_batchnorm, opset)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"torch.onnx.export failed: {str(error).strip().splitlines()[0]}") from error
    got = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if opset not in (None, got):
        raise TrainingError(f"the exporter cannot write opset {opset}, it offers {got}; leave --opset out")
    return proto


def _dynamo(model: nn.Module, x: torch.Tensor, keep_batchnorm: bool, opset: int | None) -> onnx.ModelProto:
    program = torch.onnx.export(
        model,
        (x,),
        input_names=["x"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        optimize=not keep_batchnorm,
        opset_version=opset,
        verbose=False,
    )
    if program is None:
        raise TrainingError("torch.onnx.export returned no program; try --exporter torchscript")
    if keep_batchnorm:
        _optimise_but_batchnorm(program.model)
    return program.model_proto


def _optimise_but_batchnorm(model: Any) -> None:
    """The exporter's clean-up without its fusion of BatchNormalization: constants, then a few rewrites."""
    from onnxscript import optimizer, rewriter
    from onnxscript.rewriter.rules import common

    rules = [
        common.materialize_reshape_shape_rule,
        common.no_op_expand_rule,
        common.no_op_cast_rule,
        common.remove_optional_bias_from_conv_rule,
    ]
    for _ in range(2):
        optimizer.fold_constants(model)
        rewriter.rewrite(model, pattern_rewrite_rules=rules)
        optimizer.remove_unused_nodes(model)


def _torchscript(
    model: nn.Module, x: torch.Tensor, keep_batchnorm: bool, opset: int | None
) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        torch.onnx.export(
            model,
            (x,),
            f"{folder}/model.onnx",
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE if keep_batchnorm else torch.onnx.TrainingMode.EVAL,
            do_constant_folding=not keep_batchnorm,
            opset_version=opset,
        )
        return onnx.load(f"{folder}/model.onnx")


def _drop_local_metadata(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key not in _LOCAL_METADATA]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


def _metadata(run: Path, config: TrainConfig, scaling: Scaling, checkpoint: str) -> dict[str, str]:
    values = {
        "training.config": json.dumps(asdict(config)),
        "training.scaling": json.dumps(scaling.to_dict()),
    }
    metrics = load_metrics(run / "metrics.json")
    final = metrics.get("snapped" if checkpoint == SNAPPED else "final")
    if final and checkpoint == newest(run):
        values["training.test_accuracy"] = repr(final["test_accuracy"])
    return values


def _check(raw: bytes, model: nn.Module, x: torch.Tensor) -> Parity:
    """Parity with torch on `x` in onnxruntime, in batches of one and the rest: the batch must be dynamic."""
    session = _session(raw)
    got = np.concatenate(
        [np.asarray(session.run(["logits"], {"x": part.numpy()})[0]) for part in (x[:1], x[1:])]
    )
    with torch.no_grad():
        want = model(x).numpy()
    worst, scale = float(np.abs(got - want).max()), float(np.abs(want).max())
    if not worst <= 1e-4 * max(scale, 1.0):
        raise TrainingError(
            f"the exported model differs from torch by {worst:.3g} in logits of up to {scale:.3g}"
        )
    return Parity(len(x), worst, scale, float((got.argmax(1) == want.argmax(1)).mean()))


def _session(raw: bytes) -> Any:
    import onnxruntime

    try:
        onnx.checker.check_model(raw, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise TrainingError(f"the exported model is not valid ONNX: {' '.join(str(error).split())}") from None
    try:
        return onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base class of their own
        raise TrainingError(
            f"onnxruntime cannot load the exported model: {' '.join(str(error).split())}"
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' advice for library authors off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
