"""Errors between outputs of every kind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnxdup.evaluation.fidelity import FidelityMeter, compare_outputs
from onnxdup.evaluation.serial import as_plain

NAN, INF = math.nan, math.inf


def measure(first: object, second: object) -> object:
    return compare_outputs({"y": first}, {"y": second})[0]


def test_numbers_of_a_known_case() -> None:
    a, b = np.array([[3.0, 4.0]], np.float32), np.array([[3.0, 3.0]], np.float32)
    result = measure(a, b)
    assert (result.max_absolute_error, result.mean_absolute_error, result.relative_error) == (1.0, 0.5, 0.25)
    assert result.scale == 4.0 and result.elements == 2
    assert result.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert result.agreement == 0.0 and result.finite and not result.identical


def test_batches_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20, 5)).astype(np.float32)
    b = a + rng.standard_normal((20, 5)).astype(np.float32) / 10
    meter = FidelityMeter("y")
    for start in range(0, 20, 6):
        meter.add(a[start : start + 6], b[start : start + 6])
    parts, whole = meter.result(), measure(a, b)
    assert parts.max_absolute_error == whole.max_absolute_error
    assert parts.cosine == pytest.approx(whole.cosine) and parts.agreement == whole.agreement
    assert whole.agreement == np.mean(a.argmax(1) == b.argmax(1))


@pytest.mark.parametrize(
    ("a", "b", "error", "finite"),
    [
        ([NAN, 1], [NAN, 1], 0, False),
        ([INF, -INF], [INF, -INF], 0, False),
        ([INF], [-INF], INF, False),
        ([1.0], [NAN], INF, False),
        ([NAN], [1.0], INF, True),
        ([INF], [1.0], INF, True),
        ([0.0], [0.0], 0, True),
        ([], [], 0, True),
    ],
)
def test_non_finite_values(a: list[float], b: list[float], error: float, finite: bool) -> None:
    result = measure(np.array(a, np.float32), np.array(b, np.float32))
    assert (result.max_absolute_error, result.finite) == (error, finite)


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape (3, 2) instead of (2, 3)"),
        ([np.zeros(2)], [], "other length"),
        ({0: 1.0}, {1: 1.0}, "other keys"),
        (np.zeros(2), None, "NoneType instead of ndarray"),
        (np.array(["a"], object), np.array(["b"], object), "other strings"),
        (np.array(["a"], object), np.array([1.0]), "float64 instead of object"),
    ],
)
def test_what_cannot_be_compared_is_infinitely_wrong(a: object, b: object, note: str) -> None:
    result = measure(a, b)
    assert result.max_absolute_error == INF and result.note == note


def test_maps_sequences_strings_and_integers() -> None:
    maps = [{0: 0.25, 1: 0.75}, {0: 0.5, 1: 0.25}]
    other = [{0: 0.25, 1: 0.75}, {1: 0.25, 0: 1.0}]
    assert measure(maps, maps).identical and measure(maps, maps).agreement == 1.0
    assert measure(maps, other).max_absolute_error == 0.5
    assert measure([np.ones(2)], [np.ones(2)]).identical
    words = np.array(["a", "b"], object)
    assert measure(words, words.copy()).identical
    assert measure(np.array([5, 7]), np.array([5, 9])).max_absolute_error == 2
    assert measure(np.array([True]), np.array([False])).max_absolute_error == 1


def test_half_precision_is_compared_in_double() -> None:
    a = np.array([60000.0], np.float16)
    assert measure(a, -a).max_absolute_error == 2 * float(a[0]) > 65504


def test_json_has_no_infinity() -> None:
    plain = as_plain(measure(np.zeros(1), np.array([NAN])))
    assert plain["max_absolute_error"] is None and plain["output"] == "y"
