"""Which rescalings of one channel commute with an operator: the quick filter before the exact relation.

Source: exactness of merging under an activation phi; phi(a z) = a phi(z) for every a (identity), every a > 0
(ReLU), a = -1 (odd functions), or a = 1 only.
"""

from __future__ import annotations

from enum import Flag


class Symmetry(Flag):
    """The family of scales a for which h_j = a h_i survives: a lattice, `&` is the meet."""

    COPY = 0
    SIGN = 1
    POSITIVE = 2
    ANY = 3

    @property
    def label(self) -> str:
        """The word used in reports."""
        words = {0: "copies only", 1: "sign only", 2: "positive scale", 3: "any scale"}
        return words[self.value]
