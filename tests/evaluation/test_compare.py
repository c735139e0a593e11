"""Two models side by side, end to end on small graphs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxdup.errors import CannotVerify, InputError
from onnxdup.evaluation import compare, evaluate
from onnxdup.graph import Document, parse, write

RNG = np.random.default_rng(3)
MLP = """g (float[N, 20] x) => (float[N, 6] y) {
  a = Gemm <transB = 1> (x, w, b)
  h = Relu (a)
  y = Gemm <transB = 1> (h, v, c)
}"""


def mlp(w: np.ndarray, b: np.ndarray, v: np.ndarray, c: np.ndarray) -> Document:
    return parse(MLP, **{k: t.astype(np.float32) for k, t in {"w": w, "b": b, "v": v, "c": c}.items()})


W, B, V, C = (RNG.standard_normal(s) for s in ((12, 20), (12,), (6, 12), (6,)))
DUPLICATE = (np.vstack([W, W[:4]]), np.concatenate([B, B[:4]]), np.hstack([V, V[:, :4] / 3]), C)
MERGED = (W, B, np.hstack([V[:, :4] + V[:, :4] / 3, V[:, 4:]]), C)
X = RNG.standard_normal((200, 20)).astype(np.float32)
ORIGINAL, REDUCED = mlp(*DUPLICATE), mlp(*MERGED)


def labels() -> np.ndarray:
    w, b, v, c = MERGED
    return np.asarray((np.maximum(X @ w.T + b, 0) @ v.T + c).argmax(axis=1))


def test_an_exact_merge_stays_within_its_tolerance() -> None:
    result = compare(ORIGINAL, REDUCED, provider="cpu")
    assert result.synthetic and result.source == "random inputs" and result.samples == 8
    assert 0 < result.max_absolute_error < 1e-4 and result.beyond_exact == ()
    assert result.finite and result.agreement == 1.0
    assert (result.cost_before.parameters, result.cost_after.parameters) == (
        16 * 21 + 6 * 17,
        12 * 21 + 6 * 13,
    )
    assert (result.cost_before.macs, result.cost_after.macs) == (16 * 26, 12 * 26)
    assert result.accuracy_before is None and result.paired is None


def test_a_wrong_merge_is_beyond_it() -> None:
    wrong = mlp(W, B, V, C)
    result = compare(ORIGINAL, wrong, provider="cpu")
    assert result.beyond_exact == ("y",)
    slightly = mlp(W, B * (1 + 1e-3), MERGED[2], C)
    assert compare(ORIGINAL, slightly, provider="cpu").beyond_exact == ("y",)


def test_accuracy_is_paired_on_labelled_data() -> None:
    truth = labels()
    wrong = truth.copy()
    wrong[:20] = (wrong[:20] + 1) % 6
    worse = mlp(W, B, V + 0.3 * RNG.standard_normal(V.shape), C)
    result = compare(ORIGINAL, worse, data=(X, wrong), provider="cpu", batch=64)
    before, after, pair = result.accuracy_before, result.accuracy_after, result.paired
    assert before is not None and after is not None and pair is not None
    assert before.top1 == 0.9 and after.top1 == np.mean(after.right)
    assert pair.drop == pytest.approx(before.top1 - after.top1)
    assert pair.only_before_right == np.sum(before.right & ~after.right)
    assert not result.synthetic and result.samples == 200 and result.batch == 64


def test_samples_and_seed_choose_the_same_subset() -> None:
    runs = [
        compare(ORIGINAL, REDUCED, data=(X, labels()), provider="cpu", samples=50, seed=s) for s in (1, 1, 2)
    ]
    assert [r.samples for r in runs] == [50] * 3
    assert runs[0].fidelity == runs[1].fidelity != runs[2].fidelity


def test_a_model_equals_itself_by_path_and_in_memory(tmp_path: Path) -> None:
    path = write(ORIGINAL, tmp_path / "m.onnx")[0]
    result = compare(path, ORIGINAL, data={"x": X}, provider="cpu", timed=True)
    assert all(f.identical and f.cosine == pytest.approx(1) for f in result.fidelity + result.noise.repeated)
    assert result.latency_before is not None and result.latency_before.median_ms > 0
    assert result.latency_before.lower_quartile_ms <= result.latency_before.upper_quartile_ms


def test_the_result_is_plain_json() -> None:
    plain = compare(ORIGINAL, REDUCED, data=(X, labels()), provider="cpu").as_dict()
    text = json.dumps(plain, allow_nan=False)
    assert plain["fidelity"][0]["output"] == "y" and '"right"' not in text
    assert plain["accuracy_before"]["top1"] == 1.0 and plain["beyond_exact"] == []


def test_random_models_draw_the_same_numbers() -> None:
    text = "g (float[N, 4] x) => (float[N, 4] y) { r = RandomNormalLike (x) a = Add (x, r) y = Mul (a, k) }"
    first, second = (parse(text, k=np.float32(k)) for k in (1, 2))
    same = compare(first, first, provider="cpu")
    assert same.random == ("RandomNormalLike",) and same.max_absolute_error == 0
    assert same.noise.repeated[0].identical
    assert compare(first, second, provider="cpu").max_absolute_error > 0.1


def test_models_that_take_or_give_other_things_are_not_compared() -> None:
    other = parse("g (float[N, 20] x) => (float[N, 20] z) { z = Relu (x) }")
    with pytest.raises(InputError, match=r"outputs are not those of the original \(y\)"):
        compare(ORIGINAL, other, provider="cpu")


def test_free_output_sizes_are_compared_and_broken_ones_fail() -> None:
    narrow = parse(
        "g (float[N, 4] x) => (float[N, K] y) { y = MatMul (x, w) }", w=np.ones((4, 2), np.float32)
    )
    wide = parse("g (float[N, 4] x) => (float[N, K] y) { y = MatMul (x, w) }", w=np.ones((4, 3), np.float32))
    result = compare(narrow, wide, provider="cpu")
    assert result.beyond_exact == ("y",) and "shape" in result.fidelity[0].note


def test_nan_in_both_is_equal_and_nan_in_one_is_not() -> None:
    nan = parse("g (float[N, 4] x) => (float[N, 4] y) { n = Abs (x) m = Neg (n) y = Log (m) }")
    assert compare(nan, nan, provider="cpu").beyond_exact == ()
    fine = parse("g (float[N, 4] x) => (float[N, 4] y) { y = Abs (x) }")
    assert compare(fine, nan, provider="cpu").beyond_exact == ("y",)


def test_a_reduced_model_that_does_not_run_cannot_be_verified() -> None:
    broken = parse(
        "g (float[N, 20] x) => (float[N, 6] y) { y = Gemm (x, w) }", w=np.ones((19, 6), np.float32)
    )
    with pytest.raises(CannotVerify):
        compare(ORIGINAL, broken, provider="cpu")


def test_evaluate_reports_accuracy_cost_and_time() -> None:
    result = evaluate(REDUCED, (X, labels()), provider="cpu", batch=16)
    assert result.accuracy is not None and result.accuracy.top1 == 1.0 and result.accuracy.output == "y"
    assert result.cost.macs == 12 * 26 and result.batch == 16
    assert result.latency is not None and result.latency.batch == 16 and result.latency.runs >= 3
    assert json.loads(json.dumps(result.as_dict()))["accuracy"]["samples"] == 200
    without = evaluate(REDUCED, provider="cpu", timed=False, input_shapes={"x": (3, 20)})
    assert without.synthetic and without.accuracy is None and without.latency is None and without.batch == 3
