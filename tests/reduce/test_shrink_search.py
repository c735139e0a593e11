"""`shrink` on trained samples: budgets hold, excluded groups stay, runs resume, results repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.parser import parse_model

import onnxdup
from onnxdup.errors import InputError, UsageError
from onnxdup.evaluation import as_dataset, cost
from onnxdup.graph import load
from onnxdup.reduce.budget import Budget, Measures
from onnxdup.reduce.meter import Meter
from onnxdup.reduce.probing import tempered
from onnxdup.reduce.search import OutOfReach
from onnxdup.reduce.shrink import How, Shrinkage, shrink
from onnxdup.reduce.state import State

SAMPLES = Path(__file__).parents[2] / "samples"
MLP, PADDED, CNN = (SAMPLES / f"{n}.onnx" for n in ("mlp_digits", "mlp_digits_padded", "cnn_digits"))
DATA = SAMPLES / "digits_test.npz"


def found(model: Path, budget: Budget, state: State | None = None, **how: Any) -> Shrinkage:
    document = load(model)
    with Meter(document, DATA, provider="cpu") as meter:
        return shrink(document, budget, meter, How(**how), state)


def measured(result: Shrinkage) -> Measures:
    """The chosen document, measured anew."""
    document, original = result.reduction.document, result.reduction.before.document
    with Meter(original, DATA, provider="cpu") as meter:
        quality = meter.quality(document)
        agreement = None if quality.agreement is None else 100 * quality.agreement
        return Measures(
            parameters=cost(document).parameters,
            macs=meter.macs(document),
            bytes=document.nbytes,
            drop_bound=100 * quality.paired.drop_bounds().high if quality.paired else None,
            error=quality.error,
            agreement=agreement,
        )


BUDGETS = {
    "parameters": Budget(parameters=9000),
    "macs": Budget(macs=9000),
    "bytes": Budget(bytes=40000),
    "two": Budget(parameters=12000, bytes=40000),
    "drop": Budget(max_drop=1.0),
    "error": Budget(max_error=0.05),
    "agreement": Budget(min_agreement=99.0),
    "both": Budget(parameters=9000, max_drop=2.0),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_no_budget_is_exceeded_and_the_step_before_or_after_is_not_within(name: str) -> None:
    budget = BUDGETS[name]
    result = found(MLP, budget)
    fresh = measured(result)
    assert not fresh.missed(budget) and fresh.good(budget) and result.reduction.removed > 0
    position, tried = result.chosen.position, {t.position: t for t in result.trials}
    neighbour = tried[position - 1] if budget.targets else tried[position + 1]
    assert neighbour.enough is False if budget.targets else neighbour.good is False


def test_share_of_all_channels() -> None:
    result = found(CNN, Budget(keep=0.8))
    before = result.path.sizes
    total = sum(g.size for g in result.reduction.before.groups if g.frozen is None)
    left = sum(g.size for g in result.reduction.after.groups if g.frozen is None)
    assert left <= 0.8 * total < left + 1 and len(before) >= 3
    shares = {n: result.chosen.counts[n] / before[n] for n in before}
    assert len(set(shares.values())) > 1, "allocated globally, not alike"


def test_exact_pass_comes_first_and_is_all_where_nothing_may_change() -> None:
    result = found(PADDED, Budget(max_error=0.0))
    assert result.reduction.exact and result.reduction.removed == 160 and result.chosen.position == 0
    nothing = found(MLP, Budget(max_error=0.0))
    assert nothing.chosen.measures.error == 0


def test_too_few_samples_to_show_a_drop() -> None:
    result = found(PADDED, Budget(max_drop=0.1))
    assert result.reduction.exact and "500 samples cannot show" in result.notes[0]


def test_out_of_reach() -> None:
    with pytest.raises(OutOfReach, match="parameters 50 is out of reach") as raised:
        found(MLP, Budget(parameters=50))
    assert raised.value.trials and not any(t.enough for t in raised.value.trials)
    with pytest.raises(OutOfReach, match="does not keep max-error"):
        found(MLP, Budget(parameters=5000, max_error=0.001))


@pytest.mark.parametrize("model", [MLP, PADDED, CNN], ids=lambda p: p.stem)
def test_rounded_counts(model: Path) -> None:
    result = found(model, Budget(keep=0.8), round_to=12)
    after = {g.name: g.size for g in result.reduction.after.groups}
    for group in (g for g in result.reduction.before.groups if g.frozen is None):
        assert after[group.name] == group.size or after[group.name] % 12 == 0
        assert after[group.name] > 0
    assert result.reduction.removed > 0


def test_rounding_keeps_some_duplicates_of_the_exact_pass() -> None:
    result = found(PADDED, Budget(max_error=0.0), round_to=100)
    sizes = [result.reduction.after.group(g).size for g in ("fc1.weight", "fc2.weight")]
    assert sizes == [300, 96] and result.reduction.exact
    assert measured(result).error < 1e-5  # type: ignore[operator]


def test_excluded_groups_are_untouched() -> None:
    result = found(MLP, Budget(keep=0.5), exclude=["fc2*"])
    assert result.chosen.counts.keys() == {"fc1.weight"}
    assert result.reduction.after.group("fc2.weight").size == 64
    before, after = (d.weights for d in (load(MLP), result.reduction.document))
    assert np.array_equal(before.array("fc2.bias"), after.array("fc2.bias")) or result.reduction.removed
    only = found(MLP, Budget(keep=0.5), include=["fc2*"])
    assert only.chosen.counts == {"fc2.weight": 32}


def test_same_search_same_bytes() -> None:
    first, second = (found(CNN, Budget(max_error=0.2)).reduction.document.sha256() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("method", ["fold-ward", "norm"])
def test_methods_without_predictions_keep_the_same_share(method: str) -> None:
    result = found(MLP, Budget(parameters=9000), method=method)
    shares = [result.chosen.counts[g] / s for g, s in result.path.sizes.items()]
    assert abs(shares[0] - shares[1]) < 0.02 and measured(result).parameters <= 9000  # type: ignore[operator]
    assert "same share" in result.notes[0]


def test_methods_without_counts_are_refused() -> None:
    with pytest.raises(UsageError, match="paper"):
        found(MLP, Budget(keep=0.5), method="paper")


class Interrupted(Exception):
    """Somebody pulled the plug."""


class Plug(State):
    """A state that dies after some results."""

    left = 5

    def put(self, question: Any, result: Any) -> None:
        """Stores, then dies."""
        super().put(question, result)
        self.left -= 1
        if not self.left:
            raise Interrupted


def test_an_interrupted_search_goes_on_to_the_same_result(tmp_path: Path) -> None:
    path, budget = tmp_path / "state.json", Budget(max_error=0.05)
    whole = found(MLP, budget)
    with pytest.raises(Interrupted):
        found(MLP, budget, Plug({"a": 1}, path))
    held = json.loads(path.read_text())
    assert len(held["results"]) == 5 and [p.name for p in tmp_path.iterdir()] == ["state.json"]
    again = found(MLP, budget, State({"a": 1}, path, resume=True))
    assert again.resumed == 5 and again.chosen == whole.chosen and again.trials == whole.trials
    assert again.reduction.document.sha256() == whole.reduction.document.sha256()


def test_resumed_answers_are_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, budget = tmp_path / "state.json", Budget(max_error=0.05)
    first = found(MLP, budget, State({}, path))

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(Meter, "quality", fail)
    assert found(MLP, budget, State({}, path, resume=True)).chosen == first.chosen


def test_states_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    State({"a": 1}, path).put("q", 1)
    with pytest.raises(UsageError, match="another search"):
        State({"a": 2}, path, resume=True)
    assert State({"a": 2}, path).get("q") is None
    with pytest.raises(UsageError, match="--state"):
        State({}, None, resume=True)
    path.write_text("{")
    with pytest.raises(InputError, match="not the state"):
        State({}, path, resume=True)


def test_api_resumes_and_saves(tmp_path: Path) -> None:
    run: Callable[..., Any] = onnxdup.shrink
    options = {"max_error": 0.1, "data": str(DATA), "state": tmp_path / "s.json", "provider": "cpu"}
    first = run(MLP, **options)
    again = run(MLP, **options, resume=True)
    assert again.report.resumed > 0 and again.document.sha256() == first.document.sha256()
    with pytest.raises(UsageError, match="another search"):
        run(MLP, **{**options, "data": None}, resume=True)
    first.save(tmp_path / "out.onnx")
    first.save_plan(tmp_path / "plan.json")
    replayed = onnxdup.merge(MLP, plan=tmp_path / "plan.json", provider="cpu")
    assert replayed.document.sha256() == load(tmp_path / "out.onnx").sha256()
    assert first.report.groups[0].channels.after < first.report.groups[0].channels.before


def test_latency_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter, "latency", lambda self, document: cost(document).parameters / 1000)
    result = found(MLP, Budget(latency_ms=10.0))
    assert cost(result.reduction.document).parameters <= 10_000
    assert result.chosen.measures.latency_ms == cost(result.reduction.document).parameters / 1000


TWO_BRANCHES = """
<ir_version: 8, opset_import: ["" : 17]>
two (float[N, 8] x) => (float[N, 4] y)
{
    z1 = Gemm <transB = 1> (x, loud_in, bias)
    h1 = Relu (z1)
    y1 = Gemm <transB = 1> (h1, loud_out)
    z2 = Gemm <transB = 1> (x, quiet_in, bias)
    h2 = Relu (z2)
    y2 = Gemm <transB = 1> (h2, quiet_out)
    y = Add (y1, y2)
}
"""


def two_branches() -> onnx.ModelProto:
    """Equal branches, but for the last layer of one, which is a hundredth."""
    model, random = parse_model(TWO_BRANCHES), np.random.default_rng(0)
    first, last, bias = (random.normal(size=s) for s in ((20, 8), (4, 20), 20))
    arrays = {"loud_in": first, "loud_out": last, "bias": bias, "quiet_in": -first, "quiet_out": last / 100}
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return model


@pytest.mark.parametrize("data", [None, {"x": np.random.default_rng(1).normal(size=(64, 8))}])
def test_probing_finds_what_the_outputs_mind(data: object) -> None:
    document = load(two_branches())
    with Meter(document, data, provider="cpu") as meter:
        plain, probed = (shrink(document, Budget(keep=0.7), meter, How(probe=p)) for p in (False, True))
    assert not plain.weights and plain.chosen.counts["loud_in"] < 20
    assert probed.chosen.counts == {"loud_in": 20, "quiet_in": 8}
    assert probed.weights["loud_in"] > 10 * probed.weights["quiet_in"]


def test_ratios_are_bounded_and_unknown_ones_are_the_median() -> None:
    found = tempered({"a": 4.0, "b": 1.0, "c": float("nan"), "d": 1e9, "e": 0.0}, 0.5)
    assert found == {"a": 2.0, "b": 1.0, "c": 2.0, "d": 4000**0.5, "e": 2.0}
    assert tempered({"a": 0.0, "b": float("inf")}, 1.0) == {}


def test_without_data_large_models_are_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    document = load(CNN)
    with Meter(document, provider="cpu") as meter:
        assert shrink(document, Budget(keep=0.9), meter).weights
        monkeypatch.setattr("onnxdup.reduce.probing.LARGE", 1e5)
        assert not shrink(document, Budget(keep=0.9), meter).weights


def test_calibrated_cuts_are_made_in_sequence_where_that_is_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    document, budget = load(CNN), Budget(parameters=40_000, max_error=1.0)
    samples = as_dataset(str(DATA), document).take(128)
    with Meter(document, DATA, provider="cpu") as meter:
        found = shrink(document, budget, meter, calibration=samples)
        monkeypatch.setattr("onnxdup.reduce.shrink.in_sequence", lambda *_: None)
        at_once = shrink(document, budget, meter, calibration=samples)
        nearer = meter.quality(found.reduction.document).error
        assert nearer < meter.quality(at_once.reduction.document).error
    assert found.chosen.counts == at_once.chosen.counts and found.chosen.measures.error == nearer
    assert cost(found.reduction.document).parameters <= 40_000
    after = {g.name: g.size for g in found.reduction.after.groups}
    assert all(after[name] == count for name, count in found.chosen.counts.items())
    assert len(found.reduction.plan.rounds) > len(at_once.reduction.plan.rounds)


def test_a_sequence_that_misses_the_limit_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    document = load(MLP)
    samples = as_dataset(str(DATA), document).take(64)
    monkeypatch.setattr(Measures, "good", lambda *_: False)
    with Meter(document, DATA, provider="cpu") as meter:
        found = shrink(document, Budget(keep=0.5), meter, calibration=samples)
        widths = {g.name: g.size for g in found.reduction.after.groups if g.frozen is None}
    assert widths == found.chosen.counts and len(found.reduction.plan.rounds) == 1


def test_calibration_data_stand_in_for_data() -> None:
    with np.load(DATA) as arrays:
        x = arrays["x"][:64]
    report = onnxdup.shrink(MLP, keep=0.5, calibration={"x": x}, provider="cpu").report
    assert all(g.sensitivity is not None for g in report.groups)
    limited = onnxdup.shrink(MLP, max_error=0.1, calibration={"x": x}, provider="cpu").report
    assert not any("made-up" in note for note in limited.notes)
    chosen = next(t for t in limited.trials if t.position == limited.chosen)
    assert chosen.error is not None and 0 < chosen.error <= 0.1 and chosen.drop is None
