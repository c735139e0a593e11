"""The Python API, and what the commands call: load, report, merge, evaluate, verify.

Every function takes a path, an `onnx.ModelProto`, a graphsurgeon graph, an onnx-ir model or a loaded
`Document`, prints nothing and changes neither its argument nor the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxdup.graph import Document
from onnxdup.graph import load as _load

if TYPE_CHECKING:
    from onnxdup.report.build import Advance
    from onnxdup.report.schema import EvaluationReport, ModelReport

Shapes = Mapping[str, tuple[int, ...]]

TAUS = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Thresholds of `report`: those of the paper's Figure 12."""


def load(source: Any, *, allow_linked_data: bool = False) -> Document:
    """The model of a path, `onnx.ModelProto`, graphsurgeon graph or onnx-ir model; a `Document` is returned
    as it is.

    Raises `InputError` where it cannot be read.
    """
    if isinstance(source, Document):
        return source
    return _load(source, allow_linked_data=allow_linked_data)


def report(
    model: Any,
    *,
    taus: Sequence[float] = TAUS,
    spectra: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    input_shapes: Shapes | None = None,
    progress: Advance | None = None,
) -> ModelReport:
    """Duplicate filters of every layer at each of `taus`, and why no more can be merged.

    `include` and `exclude` are globs on node and tensor names; `input_shapes` fixes dynamic inputs; `spectra`
    adds singular values, which cost far more than the rest. Raises `InputError` or `UsageError`.
    """
    from onnxdup.report.build import build_report

    return build_report(
        load(model),
        taus,
        spectra=spectra,
        include=include,
        exclude=exclude,
        input_shapes=input_shapes,
        progress=progress,
    )


def evaluate(
    model: Any,
    data: Any = None,
    *,
    batch: int | None = None,
    latency: bool = True,
    samples: int | None = None,
    seed: int = 0,
    provider: str = "auto",
    input_shapes: Shapes | None = None,
) -> EvaluationReport:
    """Accuracy with its interval (where `data` has labels), latency of a batch, parameters, MACs and bytes.

    `data` is a path (.npz or a folder of .npy), "package.module:function", a dict of arrays or a pair (x, y);
    None makes inputs up. `samples` draws that many of them. Raises `CannotVerify` where the model cannot run.
    """
    from onnxdup import evaluation
    from onnxdup.report import runs

    document = load(model)
    found = evaluation.evaluate(
        document,
        data,
        provider=provider,
        batch=batch,
        samples=samples,
        seed=seed,
        input_shapes=input_shapes,
        timed=latency,
    )
    return runs.evaluation_report(document, found)
