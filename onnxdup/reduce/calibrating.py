"""Merging with calibration data: groups in the order of the network, each measured in the model cut so far.

The first groups are fitted to what they give; later ones to what the original model gave, from what the
reduced one gives now, so that errors do not add up (sequential reconstruction).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from onnxdup.channels import ChannelGroup, Trace
from onnxdup.graph import Document
from onnxdup.graph.expose import with_outputs
from onnxdup.merging import Analytic, Measured
from onnxdup.runtime import Session

if TYPE_CHECKING:
    from onnxdup.evaluation.batching import Batch
    from onnxdup.evaluation.data import Dataset

STAGES = 16
"""Most parts in which the groups of a model are measured and cut."""
BATCH = 16


def measure(
    trace: Trace,
    groups: Sequence[ChannelGroup],
    data: Dataset,
    analytic: Analytic,
    original: Trace | None = None,
    provider: str = "cpu",
) -> Measured:
    """The moments of `groups` over a data set, batch by batch. Raises CannotVerify where a model does not
    run.
    """
    found = Measured(trace, groups, analytic, original)
    if not found.tallies:
        return found
    before = original.document if original is not None and found.before else None
    for now, then in values_of(trace.document, found.now, before, found.before, data, provider):
        found.add(now, then)
    return found


def values_of(
    now: Document,
    wanted: list[str],
    then: Document | None,
    wanted_then: list[str],
    data: Dataset,
    provider: str,
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Values of two models, batch by batch; of the first alone where there is no second."""
    with ExitStack() as stack:
        first = stack.enter_context(Session.open(with_outputs(now, wanted), provider=provider))
        second = None
        if then is not None:
            second = stack.enter_context(Session.open(with_outputs(then, wanted_then), provider=provider))
        for batch in batches(data, first):
            found = {} if second is None else seen(batch, second.run(batch.feeds, wanted_then))
            yield seen(batch, first.run(batch.feeds, wanted)), found


def batches(data: Dataset, session: Session) -> Iterator[Batch]:
    """At most `BATCH` samples each, and two batches where there are two samples, if the model takes any
    number.
    """
    from onnxdup.evaluation.batching import working_batches  # deferred: merges without data start faster

    yield from working_batches(data, session, max(1, min(BATCH, len(data) // 2))).batches()


def seen(batch: Batch, values: Mapping[str, object]) -> dict[str, np.ndarray]:
    """What the samples of a batch gave: without the copies that fill it."""
    own = batch.cut(values) if batch.per_sample else values
    return {name: np.asarray(value) for name, value in own.items()}


def stages(trace: Trace, groups: Sequence[ChannelGroup]) -> list[list[str]]:
    """Names of groups in the order of the nodes that make them, in at most `STAGES` parts; peers together."""
    place = {node.name: k for k, node in enumerate(trace.document.nodes)}
    ordered = sorted(groups, key=lambda g: min(place[s.node.name] for s in g.sources))
    size = -(-len(ordered) // STAGES)
    parts = [[g.name for g in ordered[k : k + size]] for k in range(0, len(ordered), max(size, 1))]
    for group in ordered:
        for peer in group.peers:
            _join(parts, group.name, peer)
    return [p for p in parts if p]


def _join(parts: list[list[str]], name: str, peer: str) -> None:
    first = next(p for p in parts if name in p)
    for part in parts:
        if peer in part and part is not first:
            part.remove(peer)
            first.append(peer)
