"""The tests of recurrent layers have teeth: each wrong step of lumping breaks one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from laws import test_recurrent as laws

from onnxdup.channels import settle
from onnxdup.channels.rules import RESIZE, recurrent
from onnxdup.channels.transfer import lumping
from onnxdup.errors import OnnxdupError

Patch = pytest.MonkeyPatch
STACKED = partial(laws.test_planted_units_are_lumped, "lstm_sequence", "LSTM_0", laws.OPPOSITE)


def no_sums(patch: Patch) -> None:
    """Recurrent weights are not compared."""
    patch.setattr(lumping, "_sums", lambda m, _o, _g, _s: np.zeros((len(m), m.shape[1], 1)))


def plain_sums(patch: Patch) -> None:
    """Columns of opposite units are added with sign 1."""
    sums = lumping._sums
    patch.setattr(lumping, "_sums", lambda m, o, g, s: sums(m, o, g, np.abs(s)))


def own_columns(patch: Patch) -> None:
    """Each column is compared by itself: too strict, finds less."""
    patch.setattr(lumping, "_sums", lambda m, _o, _g, _s: np.abs(m).astype(np.float64))


def without(method: str) -> Callable[[Patch], None]:
    """Some of the parts that units must share are forgotten."""
    original: Any = getattr(recurrent._Layer, method)

    def forgets(self: Any, *args: Any) -> Any:
        found = original(self, *args)
        return ([], found[1]) if isinstance(found, tuple) else []

    return lambda patch: patch.setattr(recurrent._Layer, method, forgets)


def relu_is_odd(patch: Patch) -> None:
    """Relu passes a change of sign."""
    patch.setattr(recurrent, "ODD", recurrent.ODD | {"relu"})


def lonely_directions(patch: Patch) -> None:
    """Directions may lose different numbers of units."""
    patch.setattr(settle, "_peers", lambda _t, _p: [])


def one_bias(patch: Patch) -> None:
    """The second bias of a candidate is never apart."""
    made = recurrent._Layer.__init__

    def init(self: Any, t: Any, n: Any) -> None:
        made(self, t, n)
        self.reset_after = False

    patch.setattr(recurrent._Layer, "__init__", init)


def same_size(patch: Patch) -> None:
    """hidden_size does not follow."""
    patch.delitem(RESIZE, "LSTM")


GRU_BIAS = laws.test_the_second_bias_of_a_gru_counts_where_the_reset_gate_multiplies_it
NEAR = partial(laws.test_units_that_nearly_agree_stay, "lstm_sequence")
MUTANTS = {
    "recurrent sums": (no_sums, partial(NEAR, 2)),
    "signs of sums": (plain_sums, STACKED),
    "sums of classes": (
        own_columns,
        partial(laws.test_planted_units_are_lumped, "rnn_tanh", "RNN_0", laws.PAIRS),
    ),
    "biases": (without("_biases"), partial(NEAR, 3)),
    "input weights": (without("_gates"), partial(NEAR, 1)),
    "states": (without("_states"), partial(laws.test_states_and_peepholes_must_agree, "h0")),
    "peepholes": (without("_peepholes"), partial(laws.test_states_and_peepholes_must_agree, "p1")),
    "odd activations": (relu_is_odd, partial(laws.test_opposite_units_need_odd_activations, "relu")),
    "peers": (
        lonely_directions,
        partial(laws.test_directions_lose_equally_many_units, "lstm_bidirectional", "LSTM_0"),
    ),
    "two biases": (one_bias, GRU_BIAS),
    "hidden_size": (same_size, STACKED),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str, monkeypatch: Patch) -> None:
    change, law = MUTANTS[name]
    law()
    change(monkeypatch)
    with pytest.raises((AssertionError, OnnxdupError, ValueError)):
        law()
