"""The pre-activations of a group with one non-linearity, jointly Gaussian over channels and positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxdup.channels import Reader
from onnxdup.channels.response import respond
from onnxdup.channels.tracer import Sink
from onnxdup.merging.plan import Array, Index

Offset = tuple[int, ...]


@dataclass(frozen=True)
class Gaussian:
    """`mean` (n,), `covariance(offset)` (n, n) between positions `offset` apart, `series` (n, orders) what
    each sink sees; `known`: the mean is more than nothing.
    """

    reader: Reader
    mean: Array
    known: bool
    covariance: Callable[[Offset], Array]
    series: list[Array]

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Readers of the group."""
        return tuple(self.reader.group.sinks)

    def response(self, keep: Index) -> Callable[[Array], list[Array]]:
        """z (k, points) → what each sink sees, with the carriers of the channels `keep`."""
        reader = self.reader.restricted(keep)

        def seen(z: Array) -> list[Array]:
            return [np.full_like(z, np.nan) if h is None else h for h in respond(reader, z)]

        return seen
