"""Units of a recurrent layer that move alike: h_j(t) = s h_i(t) at every step, proven by induction.

Lumping (equitable partitions of the recurrence): units are in classes, σ_k says how unit k moves beside the
first of its class: ±1, or any positive number where the layer is homogeneous (an RNN with Relu). If members
agree in the input rows W, the biases, the peepholes and the initial states, and if for every class C the sums
Σ_{k∈C} σ_k R_j[k] agree, then equal states give equal states one step later. Gates that change with the unit
(the candidate, if its activation is odd or homogeneous) agree up to s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from onnxdup.channels.ids import Ids
from onnxdup.channels.relation import Array, Mask, Relation, close, mantissa_bits, ulp
from onnxdup.channels.symmetry import Symmetry
from onnxdup.channels.transfer.base import Pairs, PerChannel, Related

Numeric = npt.NDArray[np.generic]
BLOCK = 1 << 22


@dataclass(frozen=True)
class Part:
    """Numbers per unit that members of a class must share; `flips`: they change sign with the unit.

    `sizes` are the magnitudes that were added up to them, where they are sums.
    """

    values: PerChannel
    flips: bool
    sizes: PerChannel | None = None


@dataclass(frozen=True)
class Lumping:
    """Weights of one direction of a recurrent layer.

    `parts` is everything but the recurrence; `matrix()` is R as (units, gates, units); `odd[g]`: gate g
    changes sign with its unit; `signs`: may units be opposite at all? `scales`: may they be positive
    multiples (then all gates are odd, and everything scales with the unit)?
    """

    units: Ids
    parts: tuple[Part, ...]
    matrix: Callable[[], Numeric]
    odd: tuple[bool, ...]
    signs: bool
    scales: bool = False

    @property
    def symmetry(self) -> Symmetry:
        """Sign changes where the activations of cell and state are odd, positive scales where they are
        homogeneous, otherwise copies.
        """
        if self.scales:
            return Symmetry.POSITIVE
        return Symmetry.SIGN if self.signs else Symmetry.COPY

    def features(self, g: Pairs) -> Array:
        """Magnitudes that equal or opposite units share: (channels, m)."""
        return np.concatenate([np.abs(g.of(p.values)) for p in self.parts], 1)

    def relate(self, h: Related, g: Pairs) -> tuple[Relation, Array]:
        """⟨s, 0⟩ for pairs (first of a class, member), all classes given at once; with the residuals.

        `h` are the relations of initial states that the graph computes.
        """
        matrix, outside = self._square(g)
        dtype = matrix.dtype
        rtol = max(g.ulps, 1.0) * 2.0 ** -mantissa_bits(dtype)
        sign, ok, residual = self._signs(g)
        zero = np.zeros_like(sign)
        for r in h:
            if r is not None:
                ok = ok & r.ok & r.no_shift & close(r.a, sign, 2 * rtol)
        sums, sizes = _sums(matrix, outside, g, sign), _sums(np.abs(matrix), np.abs(outside), g, abs(sign))
        odd = np.array(self.odd)
        for flips in (False, True):
            new, size = (x[:, odd == flips].reshape(len(matrix), -1) for x in (sums, sizes))
            error, same = _compare(new, size, g, sign if flips else zero + 1, dtype)
            ok, residual = ok & same, np.maximum(residual, error)
        return Relation(sign, zero, zero, ok, rtol), residual

    def constant(self, g: Pairs) -> Array:
        """0 for units whose candidate is always φ(0) = 0 and whose initial state is 0; NaN for the others."""
        matrix, _ = self._square(g, whole=True)
        still = (matrix[:, np.array(self.odd)] == 0).all((1, 2)) & (self.signs or self.scales)
        for part in self.parts:
            if part.flips:
                still &= (g.of(part.values) == 0).all(1)
        return np.where(still, 0.0, np.nan)

    def _square(self, g: Pairs, whole: bool = False) -> tuple[Numeric, Numeric]:
        """R between the channels of the group, and from other units to them: (n, gates, n), (n, gates, m)."""
        place = g.places(self.units)
        rows = self.matrix()[place]
        rest = np.setdiff1d(np.arange(rows.shape[2]), place)
        return (rows, rows[:, :, :0]) if whole else (rows[:, :, place], rows[:, :, rest])

    def _signs(self, g: Pairs) -> tuple[Array, Mask, Array]:
        """s of each pair from everything but the recurrence, whether it fits, and the residual."""
        tried = [np.ones(len(g.i))]
        tried += [-tried[0]] if self.signs else []
        tried += [self._multiples(g)] if self.scales else []
        found = [self._fits(g, sign) for sign in tried]
        ok, residual = found[0]
        sign = tried[0]
        for factor, (other, error) in zip(tried[1:], found[1:], strict=True):
            turned = ~ok & other
            sign, residual = np.where(turned, factor, sign), np.where(turned, error, residual)
            ok = ok | other
        return sign, ok, residual

    def _multiples(self, g: Pairs) -> Array:
        """Least-squares factor of each pair over all but the recurrence, 1 where it is not positive."""
        rows = np.concatenate([g.of(p.values) for p in self.parts], 1)
        u, v = rows[g.i], rows[g.j]
        norm = np.einsum("md,md->m", u, u)
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.einsum("md,md->m", u, v) / norm
            a = a + np.einsum("md,md->m", v - a[:, None] * u, u) / norm
        return np.where((a > 0) & np.isfinite(a), a, 1.0)

    def _fits(self, g: Pairs, sign: Array) -> tuple[Mask, Array]:
        ok, residual = np.ones(len(g.i), bool), np.zeros(len(g.i))
        for part in self.parts:
            rows = g.stored(part.values)
            sizes = np.abs(rows) if part.sizes is None else g.stored(part.sizes)
            signs = sign if part.flips else np.ones(len(g.i))
            error, same = _compare(rows, sizes, g, signs, self.matrix().dtype)
            ok, residual = ok & same, np.maximum(residual, error)
        return ok, residual


def _sums(matrix: Numeric, outside: Numeric, g: Pairs, sign: Array) -> Array:
    """Σ over each class of σ_k R[k], then the columns of other units: (n, gates, classes + m)."""
    n, gates, _ = matrix.shape
    first, sigma = np.arange(n), np.ones(n)
    first[g.j], sigma[g.j] = g.i, sign
    classes = np.unique(first, return_inverse=True)[1]
    add = csr_array((sigma, (np.arange(n), classes)), shape=(n, int(classes.max(initial=-1)) + 1))
    flat = matrix.reshape(n * gates, n).astype(np.float64)
    total: Array = np.asarray(flat @ add)
    return np.concatenate([total.reshape(n, gates, -1), outside.astype(np.float64)], 2)


def _compare(
    rows: Numeric, sizes: Numeric, g: Pairs, sign: Array, dtype: np.dtype[np.generic]
) -> tuple[Array, Mask]:
    """(largest |row_j − sign · row_i|, every entry within the last places of its size), block by block."""
    error, same = np.zeros(len(g.i)), np.zeros(len(g.i), bool)
    step = max(1, BLOCK // max(rows.shape[1], 1))
    for start in range(0, len(error), step):
        block = slice(start, start + step)
        i, j = g.i[block], g.j[block]
        apart = np.abs(rows[j].astype(np.float64) - sign[block, None] * rows[i].astype(np.float64))
        allowed = g.ulps * ulp(np.maximum(np.abs(sign[block, None]) * sizes[i], sizes[j]), dtype)
        error[block], same[block] = apart.max(1, initial=0.0), (apart <= allowed).all(1)
    return np.where(np.isnan(error), np.inf, error), same
