"""A diverse subset drawn from a k-determinantal point process over the channels' responses.

Mariet and Sra, "Diversity networks", ICLR 2016, with L = exp(−beta ‖h_i − h_j‖²) on the (here analytic or
measured) responses; sampling after Kulesza and Taskar, "k-DPPs", ICML 2011.
"""

from __future__ import annotations

import numpy as np

from onnxdup.merging.moments import moments_of
from onnxdup.merging.plan import Array, Index
from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import chance, components
from onnxdup.merging.selection.clusters import Aim, Clusters, survivors

BETA = 10.0
RIDGE = 1e-3


def select(problem: Problem, aim: Aim) -> Clusters:
    """A k-DPP sample; without moments, of the similarity of the effective rows."""
    n, count = problem.group.size, components.wanted(problem, aim)
    kernel = np.exp(-BETA * _apart(problem)) + RIDGE * np.eye(n)
    return survivors(n, sample(kernel, count, chance.generator(problem, aim)))


def _apart(problem: Problem) -> Array:
    """Squared distances between responses of unit power, at mean 1: loud channels are not more diverse."""
    moments = moments_of(problem)
    if moments is None:
        gram = problem.rows @ problem.rows.T
    else:
        taps = moments[0].taps
        gram = moments[0].centred[::taps, ::taps]
    power = np.sqrt(np.maximum(np.diag(gram), 1e-30))
    gram = gram / np.multiply.outer(power, power)
    square = np.diag(gram)
    apart = np.maximum(square[:, None] + square[None, :] - 2 * gram, 0)
    return np.asarray(apart / max(float(apart.mean()), 1e-30))


def sample(kernel: Array, count: int, random: np.random.Generator) -> Index:
    """`count` items with probability proportional to det(kernel[items, items])."""
    values, vectors = np.linalg.eigh(kernel)
    chosen = vectors[:, _eigenvectors(np.maximum(values, 1e-12), count, random)]
    items: list[int] = []
    for left in range(count, 0, -1):
        probability = (chosen**2).sum(1)
        probability[items] = 0.0
        i = int(random.choice(len(kernel), p=probability / probability.sum()))
        items.append(i)
        if left > 1:
            pivot = int(np.argmax(np.abs(chosen[i])))
            rest = np.delete(chosen, pivot, 1)
            rest = rest - np.outer(chosen[:, pivot], _rest_row(chosen, i, pivot))
            chosen, _ = np.linalg.qr(rest)
    return np.sort(np.asarray(items, np.int64))


def _rest_row(chosen: Array, item: int, pivot: int) -> Array:
    """What each other vector has to give up to vanish at `item`."""
    return np.asarray(np.delete(chosen[item], pivot) / chosen[item, pivot])


def _eigenvectors(values: Array, count: int, random: np.random.Generator) -> Index:
    """Indices of `count` eigenvectors, by elementary symmetric polynomials in logarithms."""
    n = len(values)
    log = np.log(values)
    table = np.full((count + 1, n + 1), -np.inf)
    table[0] = 0.0
    for m in range(1, n + 1):
        table[1:, m] = np.logaddexp(table[1:, m - 1], log[m - 1] + table[:-1, m - 1])
    chosen, left = [], count
    for m in range(n, 0, -1):
        if left == 0:
            break
        share = np.exp(log[m - 1] + table[left - 1, m - 1] - table[left, m])
        if m == left or random.random() < share:
            chosen.append(m - 1)
            left -= 1
    return np.asarray(chosen, np.int64)
