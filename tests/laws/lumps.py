"""Planting equal and opposite hidden units in recurrent layers, by the definition, on the stored arrays.

Independent of onnxdup: units in classes with signs; members take the rows of the first of their class, and
the columns of each class are random but for their (signed) sum. Classes planted one after the other do not
need each other; classes planted together do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from laws import surgeon

FLIPPED = {"LSTM": (3,), "GRU": (2,), "RNN": (0,)}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
Classes = Sequence[Mapping[int, float]]
"""Each class maps a unit to its sign (in a homogeneous layer: its scale); the first leads, with 1."""


@dataclass
class Units:
    """The weights of one direction as (gates, units, m) views that write through."""

    w: np.ndarray
    r: np.ndarray
    biases: list[np.ndarray]
    others: list[np.ndarray]


def plant(
    model: onnx.ModelProto, node_name: str, classes: Mapping[int, Classes], seed: int = 0
) -> onnx.ModelProto:
    """The model with `classes[direction]` planted in the recurrent node of that name."""
    planted = surgeon.copy_of(model)
    node = next(n for n in planted.graph.node if n.name == node_name)
    names = [n for k, n in enumerate(node.input) if k not in (0, 4) and n]
    arrays = {n: surgeon.read(planted, n).copy() for n in names if surgeon.is_stored(planted, n)}
    rng = np.random.default_rng(seed)
    for direction, groups in classes.items():
        _plant(node, arrays, direction, groups, rng)
    for name, array in arrays.items():
        surgeon.store(planted, name, array)
    return planted


def _plant(
    node: onnx.NodeProto,
    arrays: Mapping[str, np.ndarray],
    direction: int,
    groups: Classes,
    rng: np.random.Generator,
) -> None:
    gates, flipped = GATES[node.op_type], FLIPPED[node.op_type]
    w, r = (arrays[node.input[k]][direction] for k in (1, 2))
    hidden = r.shape[1]
    tables = [w.reshape(gates, hidden, -1)]
    if len(node.input) > 3 and node.input[3]:
        tables += list(arrays[node.input[3]][direction].reshape(2, gates, hidden, 1))
    states = [arrays[n][direction] for n in node.input[5:7] if n in arrays]
    if len(node.input) > 7 and node.input[7]:
        states += list(arrays[node.input[7]][direction].reshape(-1, 1, hidden))
    for group in groups:
        leader, *members = group
        for unit in members:
            for gate in range(gates):
                sign = group[unit] if gate in flipped else 1
                for table in tables:
                    table[gate, unit] = sign * table[gate, leader]
                _columns(r.reshape(gates, hidden, hidden)[gate], leader, unit, sign, groups, rng)
            for state in states:
                state[..., unit] = group[unit] * state[..., leader]


def _columns(
    rows: np.ndarray, leader: int, unit: int, sign: float, groups: Classes, rng: np.random.Generator
) -> None:
    """Row `unit` of one gate: equal outside the classes, random with the right signed sum inside each."""
    old = rows[leader].astype(np.float64)
    new = sign * old
    for group in groups:
        *rest, final = group
        new[rest] = rng.normal(size=len(rest)) * np.sqrt((old**2).mean())  # larger ones make it chaotic
        total = sum(s * old[k] for k, s in group.items())
        new[final] = (sign * total - sum(group[k] * new[k] for k in rest)) / group[final]
    rows[unit] = new
