"""Finding the classifier's answer among the outputs, and counting it."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdup.errors import InputError
from onnxdup.evaluation.accuracy import AccuracyMeter
from onnxdup.evaluation.scores import answering_output, class_output, read_scores

RNG = np.random.default_rng(0)
F32 = np.float32


@pytest.mark.parametrize(
    ("value", "top"),
    [
        (np.array([[0.1, 0.9], [0.8, 0.2]], F32), [1, 0]),
        (np.array([[[[1.0]], [[3.0]], [[2.0]]]], F32), [1]),
        (np.array([[0.2], [0.7]], F32), [0, 1]),
        (np.array([-3.0, 3.0], F32), [0, 1]),
        (np.array([4, 2]), [4, 2]),
        (np.array([[4], [2]]), [4, 2]),
        ([{10: 0.3, 20: 0.7}, {10: 0.9, 20: 0.1}], [20, 10]),
        (np.array([[np.nan, 1], [0, 1]], F32), [-1, 1]),
    ],
)
def test_forms_of_answers(value: object, top: list[int]) -> None:
    scores = read_scores(value)
    assert scores is not None and scores.top().tolist() == top


@pytest.mark.parametrize(
    "value",
    [np.zeros((2, 3, 4), F32), np.float32(1), "text", [np.zeros(2)], [{0: 1.0}], np.zeros((2, 3), np.int64)],
)
def test_what_is_no_answer(value: object) -> None:
    assert read_scores(value) is None


def test_the_class_output_is_chosen_by_shape_then_name() -> None:
    outputs = {
        "boxes": np.zeros((4, 10, 4), F32),
        "label": np.zeros(4, np.int64),
        "features": np.zeros((4, 64), F32),
        "probabilities": np.zeros((4, 10), F32),
    }
    assert class_output(outputs, 4, 10) == "probabilities"
    assert class_output(outputs, 5, 10) is None
    assert class_output({"label": outputs["label"]}, 4, 10) == "label"
    with pytest.raises(InputError, match=r"4 samples and 11 classes \(outputs: boxes \(4, 10, 4\)\)"):
        answering_output({"boxes": outputs["boxes"]}, 4, np.array([10]))


def test_accuracy_over_batches_with_top_five() -> None:
    logits = RNG.standard_normal((30, 12)).astype(F32)
    ranks = np.argsort(-logits, axis=1)
    labels = np.where(np.arange(30) < 12, ranks[:, 0], np.where(np.arange(30) < 20, ranks[:, 4], ranks[:, 5]))
    meter = AccuracyMeter(labels)
    for start in range(0, 30, 7):
        part = logits[start : start + 7]
        meter.add({"out": part}, len(part))
    result = meter.result()
    assert (result.samples, result.top1, result.top5) == (30, 12 / 30, 20 / 30)
    assert result.right.tolist() == [True] * 12 + [False] * 18
    assert result.top1_interval.low < 0.4 < result.top1_interval.high


def test_nan_scores_are_wrong_even_for_class_zero() -> None:
    meter = AccuracyMeter(np.array([0, 0]))
    meter.add({"out": np.array([[np.nan, np.nan], [1, 0]], F32)}, 2)
    assert meter.result().right.tolist() == [False, True]


def test_few_classes_have_no_top_five() -> None:
    meter = AccuracyMeter(np.array([0, 1]))
    meter.add({"out": np.eye(2, dtype=F32)}, 2)
    assert meter.result().top5 is None and meter.result().top1 == 1.0


def test_strings_are_compared_as_such() -> None:
    meter = AccuracyMeter(np.array(["cat", "dog"]))
    meter.add({"label": np.array(["cat", "cat"], object)}, 2)
    assert meter.result().top1 == 0.5


@pytest.mark.parametrize("output", ["none", "boxes"])
def test_a_named_output_must_answer(output: str) -> None:
    with pytest.raises(InputError, match=r"no output 'none'|no class scores"):
        AccuracyMeter(np.array([0]), output).add({"boxes": np.zeros((1, 2, 3), F32)}, 1)
