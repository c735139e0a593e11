"""Channels drawn at random: the control of every comparison."""

from __future__ import annotations

import zlib

import numpy as np

from onnxdup.merging.problem import Problem
from onnxdup.merging.selection import components
from onnxdup.merging.selection.clusters import Aim, Clusters, survivors


def generator(problem: Problem, aim: Aim) -> np.random.Generator:
    """A stream of its own for each group and seed."""
    return np.random.default_rng([aim.seed, zlib.crc32(problem.group.name.encode())])


def select(problem: Problem, aim: Aim) -> Clusters:
    """As many channels as are asked for, or as the paper leaves at tau, each set equally likely."""
    n = problem.group.size
    return survivors(n, generator(problem, aim).permutation(n)[: components.wanted(problem, aim)])
