"""What it costs to narrow a group: the error that each channel adds, in the order in which they go.

Orders come from a method (backward elimination predicts the squared error of what the readers put out);
dividing by the power of those outputs makes groups comparable. A curve is then made convex by pooling
adjacent violators (Ayer et al., Annals of Mathematical Statistics 26, 1955), so that a greedy allocation
never waits for a bargain behind a dear channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxdup.merging import Removal
from onnxdup.merging.plan import Array


@dataclass(frozen=True)
class Curve:
    """A group of `size` channels: `error` (size,) is what each adds, in the order they go.

    It is relative to the power of the readers' outputs and never falls.
    """

    group: str
    size: int
    error: Array

    @classmethod
    def of(cls, group: str, removal: Removal) -> Curve:
        """The curve of a removal order."""
        relative = np.maximum(removal.cost, 0.0) / max(removal.power, 1e-300)
        return cls(group, len(removal.sequence), pooled(relative))

    def total(self, removed: int) -> float:
        """Predicted relative squared error after `removed` channels have gone."""
        return float(self.error[:removed].sum())


def pooled(values: Array) -> Array:
    """The non-decreasing sequence nearest to `values` in least squares."""
    means: list[float] = []
    counts: list[int] = []
    for value in values.tolist():
        mean, count = float(value), 1
        while means and means[-1] > mean:
            mean = (mean * count + means[-1] * counts[-1]) / (count + counts[-1])
            count += counts.pop()
            means.pop()
        means.append(mean)
        counts.append(count)
    return np.repeat(np.asarray(means), counts)
