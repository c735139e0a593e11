"""Random compositions of blocks with planted duplicates: all are found, the function stays.

ONNXDUP_HYPOTHESIS=thorough runs many more examples.
"""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from laws.bench import EXACT_64, merged
from laws.composer import BLOCKS, Net, compose
from laws.oracle import relative_error, run_reference, run_runtime

NETS = st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**31 - 1)
ROUNDING_32 = 5e-5


def rows_of(model: onnx.ModelProto) -> dict[str, int]:
    """Length of axis 0 of every initializer."""
    return {t.name: t.dims[0] for t in model.graph.initializer if t.dims}


def check_widths(net: Net, small: onnx.ModelProto) -> None:
    """Every planted duplicate is gone and nothing else, save what is linear throughout and wider than its
    rank.
    """
    rows, expected, linear = rows_of(small), net.expected_rows(), net.linear_rows()
    assert {t: rows[t] for t in expected if t not in linear} == {
        t: n for t, n in expected.items() if t not in linear
    }, net.lines
    assert all(rows[t] <= expected[t] for t in linear), net.lines


def feed(net: Net) -> dict[str, np.ndarray]:
    """An input for the net."""
    return {"x": np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(net.dtype)}


@given(NETS, SEEDS)
def test_all_duplicates_are_merged(blocks: list[str], seed: int) -> None:
    net = compose(blocks, seed)
    model = net.model()
    small = merged(model)
    error = relative_error(run_runtime(model, feed(net)), run_runtime(small, feed(net)))
    assert error <= ROUNDING_32, net.lines
    check_widths(net, small)


@given(NETS, SEEDS)
def test_all_duplicates_are_merged_in_float64(blocks: list[str], seed: int) -> None:
    net = compose(blocks, seed, np.float64)
    model = net.model()
    small = merged(model)
    error = relative_error(run_reference(model, feed(net)), run_reference(small, feed(net)))
    assert error <= EXACT_64, net.lines
    check_widths(net, small)


@given(NETS, SEEDS)
def test_the_composer_makes_sound_nets(blocks: list[str], seed: int) -> None:
    net, again = compose(blocks, seed), compose(blocks, seed)
    assert np.isfinite(run_runtime(net.model(), feed(net))["y"]).all()
    assert all(2 * g.planted <= g.size for g in net.groups)
    assert net.model().SerializeToString() == again.model().SerializeToString()
