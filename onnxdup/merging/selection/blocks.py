"""Backward elimination of blocks, with the work in matrix products.

Removing block I from A = M⁻¹ and S = VᵀV: with C = A[:, I] and q = C A[I, I]⁻¹,

    A ← A − q Cᵀ,    S ← S − q hᵀ − h qᵀ,    h = S[:, I] − q S[I, I] / 2,

which is V ← V − V_I qᵀ written for its square, and costs tr(A[I, I]⁻¹ S[I, I]). Diagonal blocks follow at
every step; the rest is held as factors that are applied together, to the blocks that are left alone.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.plan import Array, Index

COLUMNS = 96
"""Columns of factors that are held before they are applied."""


class Blocks:
    """The blocks that are left of A and S, both (n·taps, n·taps) at first."""

    def __init__(self, inverse: Array, square: Array, taps: int) -> None:
        self.taps, self.channels = taps, np.arange(len(inverse) // taps)
        self.a, self.s = inverse, square
        self.delay = max(1, COLUMNS // taps)
        self.diagonal = self._blocks(inverse), self._blocks(square)
        self.alive = np.ones(len(self.channels), bool)
        self._hold()

    def costs(self) -> Array:
        """tr(A[I, I]⁻¹ S[I, I]) of each block, infinite for those that have gone."""
        a, s = self.diagonal
        out = np.full(len(self.alive), np.inf)
        solved = np.linalg.solve(a[self.alive], s[self.alive])
        out[self.alive] = np.trace(solved, axis1=1, axis2=2)
        return out

    def remove(self, i: int) -> None:
        """Block number `i` of those that are held goes."""
        place, end = slice(i * self.taps, (i + 1) * self.taps), self.held * self.taps
        c = self.a[:, place] - self.q[:, :end] @ self.c[place, :end].T
        seen = self.s[:, place] - self.q[:, :end] @ self.h[place, :end].T
        seen -= self.h[:, :end] @ self.q[place, :end].T
        q: Array = np.linalg.solve(c[place].T, c.T).T.astype(np.float64, copy=False)
        h = seen - 0.5 * q @ seen[place]
        for factors, new in ((self.q, q), (self.c, c), (self.h, h)):
            factors[:, end : end + self.taps] = new
        self.held += 1
        self._follow(q, c, h)
        self.alive[i] = False
        if self.held == self.delay:
            self._apply()

    def _follow(self, q: Array, c: Array, h: Array) -> None:
        a, s = self.diagonal
        shape = (len(self.alive), self.taps, self.taps)
        q, c, h = q.reshape(shape), c.reshape(shape), h.reshape(shape)
        a -= q @ c.transpose(0, 2, 1)
        both = q @ h.transpose(0, 2, 1)
        s -= both + both.transpose(0, 2, 1)

    def _apply(self) -> None:
        """The factors take effect on what is left."""
        rows = np.repeat(self.alive, self.taps)
        q, c, h = (f[rows] for f in (self.q, self.c, self.h))
        self.a = self.a[np.ix_(rows, rows)] - q @ c.T
        both = q @ h.T
        self.s = self.s[np.ix_(rows, rows)] - both - both.T
        self.diagonal = tuple(d[self.alive] for d in self.diagonal)  # type: ignore[assignment]
        self.channels = self.channels[self.alive]
        self.alive = np.ones(len(self.channels), bool)
        self._hold()

    def _hold(self) -> None:
        self.held = 0
        shape = (len(self.a), self.delay * self.taps)
        self.q, self.c, self.h = np.zeros(shape), np.zeros(shape), np.zeros(shape)

    def _blocks(self, matrix: Array) -> Array:
        n = len(self.channels)
        return np.ascontiguousarray(
            matrix.reshape(n, self.taps, n, self.taps)[np.arange(n), :, np.arange(n), :]
        )


def eliminate(inverse: Array, outgoing: Array, taps: int, keep: int) -> tuple[Index, Array]:
    """(channels in the order they go, cost of each) until `keep` are left.

    `inverse` is (n·taps, n·taps), `outgoing` (outputs, n·taps), both float64.
    """
    left = Blocks(inverse, outgoing.T @ outgoing, taps)
    steps = len(left.channels) - keep
    sequence, paid = np.empty(steps, np.int64), np.empty(steps)
    for step in range(steps):
        costs = left.costs()
        i = int(np.argmin(costs))
        sequence[step], paid[step] = left.channels[i], max(float(costs[i]), 0.0)
        left.remove(i)
    return sequence, paid
