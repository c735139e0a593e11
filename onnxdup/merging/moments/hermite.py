"""Moments of functions of jointly Gaussian variables by Hermite expansion.

For z ~ N(mu, Sigma) with unit correlations rho_ij and any square-integrable f_i:
E[f_i(z_i) f_j(z_j)] = Σ_n a_n^i a_n^j rho_ij^n, a_n^i = E[f_i(mu_i + sigma_i t) He_n(t)] / √n!, t ~ N(0, 1)
(Mehler's formula; for ReLU and mu = 0 the arc-cosine kernel of Cho and Saul, 2009).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from onnxdup.merging.plan import Array

ORDERS = 32
NODES = 801
REACH = 8.0


def grid() -> tuple[Array, Array]:
    """Points t and weights of the standard normal density: dense, since activations have kinks."""
    t = np.linspace(-REACH, REACH, NODES)
    weight = np.exp(-t * t / 2)
    return t, weight / weight.sum()


def orthonormal(t: Array, orders: int = ORDERS) -> Array:
    """He_n(t) / √n! for n < orders: (orders, len(t))."""
    out = np.empty((orders, len(t)))
    out[0] = 1.0
    out[1] = t
    for n in range(1, orders - 1):
        out[n + 1] = (t * out[n] - np.sqrt(n) * out[n - 1]) / np.sqrt(n + 1)
    return out


def hermite_coefficients(
    mean: Array, spread: Array, f: Callable[[Array], Array], orders: int = ORDERS
) -> Array:
    """a_n of every channel: (channels, orders). `f` maps pre-activations (channels, points) to responses."""
    t, basis = _weighted(orders)
    return np.asarray(f(mean[:, None] + spread[:, None] * t) @ basis.T)


@functools.cache
def _weighted(orders: int) -> tuple[Array, Array]:
    """(points, basis · weight), which nobody writes to."""
    t, weight = grid()
    basis = orthonormal(t, orders) * weight
    for array in (t, basis):
        array.setflags(write=False)
    return t, basis


def gram(left: Array, right: Array, rho: Array, first: int = 0) -> Array:
    """Σ_n a_n^i b_n^j rho_ij^n, n from `first`: (len(left), len(right))."""
    out = np.zeros_like(rho)
    power = rho**first
    for n in range(left.shape[1]):
        out += np.multiply.outer(left[:, n], right[:, n]) * power
        power = power * rho
    return out
