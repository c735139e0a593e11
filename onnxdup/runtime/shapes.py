"""The shapes that tensors have in a run: the last word where shape inference gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import numpy as np

from onnxdup.errors import CannotVerify
from onnxdup.graph import Document
from onnxdup.graph.expose import SHAPE_PREFIX, with_shape_outputs
from onnxdup.runtime.session import BOUNDED_BYTES, Session

SECONDS = 30.0

_MAKE_NO_TENSOR = frozenset(
    {
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceInsert",
        "SequenceErase",
        "SequenceMap",
        "SplitToSequence",
    }
    | {"Optional", "ZipMap", "CastMap"}
)
_PASS_ANYTHING = frozenset({"Identity", "If", "Loop", "Scan", "OptionalGetElement"})


def observed_shapes(
    document: Document, feeds: Mapping[str, np.ndarray], *others: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    """Run the model once on the CPU and return the shape of every tensor of the main graph: inputs, weights,
    results. Where it does not run on `feeds`, the `others` are tried in turn.

    Each value's shape is asked for by a `Shape` node, so no activation is kept. Sequences, maps and optionals
    are left out. Raises `CannotVerify` where onnxruntime cannot run the model on `feeds`, or not within
    `SECONDS` and `BOUNDED_BYTES`: models that large are not copied and run for their shapes alone.
    """
    if document.nbytes > BOUNDED_BYTES // 2:
        raise CannotVerify("is too large to be run for its shapes alone", file=document.path)
    shapes = {name: document.weights.info(name).shape for name in document.weights}
    candidates = (feeds, *others)
    tensors = _tensor_results(document)
    try:
        return shapes | _run(document, candidates, tensors)
    except CannotVerify as error:
        certain = [name for name in tensors if not _may_be_no_tensor(document, name)]
        if len(certain) == len(tensors) or "Shape" not in str(error):
            raise
    return shapes | _run(document, candidates, certain)


def _run(
    document: Document, candidates: Sequence[Mapping[str, np.ndarray]], names: list[str]
) -> dict[str, tuple[int, ...]]:
    if not names:
        return {name: tuple(np.shape(value)) for name, value in candidates[0].items()}
    with Session.open(with_shape_outputs(document, names), provider="cpu", bounded=True) as session:
        feeds, results = _first_that_runs(session, candidates)
    given = {name: tuple(np.shape(value)) for name, value in feeds.items()}
    return given | {k.removeprefix(SHAPE_PREFIX): tuple(int(d) for d in v) for k, v in results.items()}


def _first_that_runs(
    session: Session, candidates: Sequence[Mapping[str, np.ndarray]]
) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
    end = monotonic() + SECONDS
    for feeds in candidates[:-1]:
        try:
            return feeds, session.run(feeds, seconds=max(end - monotonic(), 1.0))
        except CannotVerify:
            if monotonic() > end:
                raise
    return candidates[-1], session.run(candidates[-1], seconds=max(end - monotonic(), 1.0))


def _tensor_results(document: Document) -> list[str]:
    """Results of the main graph, without those known to be no tensors."""
    other: set[str] = {v.name for v in document.inputs if v.kind != "tensor"}
    for node in document.nodes:
        passes = node.op_type in _PASS_ANYTHING and any(name in other for name in node.inputs + node.captured)
        if node.op_type in _MAKE_NO_TENSOR or passes:
            other.update(node.outputs)
    results = (name for node in document.nodes for name in node.outputs if name)
    return [name for name in results if name not in other]


def _may_be_no_tensor(document: Document, name: str) -> bool:
    node = document.producer_of(name)
    return node is not None and node.op_type in _PASS_ANYTHING
