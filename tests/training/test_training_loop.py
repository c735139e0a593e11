"""Runs: reproducible, resumable, and learning something."""

from __future__ import annotations

import dataclasses
import json
from math import isclose

import pytest
import torch

from training import loop
from training.config import TrainConfig
from training.errors import ConfigError, DataError, TrainingError

SMALL = TrainConfig(widths=(24,), epochs=3, lr=0.1, dropout=0.2, augment=True, batch=50, threads=1)


def files(run):
    return {p.name: p.read_bytes() for p in run.iterdir() if p.suffix == ".json"}


def weights(run):
    return torch.load(run / "last.pt", weights_only=True)["model"]


def assert_same_run(one, two):
    assert files(one) == files(two)
    a, b = weights(one), weights(two)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "config",
    [SMALL, TrainConfig(model="resnet", depth=8, widths=(4, 8, 8), epochs=2, augment=True, threads=1)],
)
def test_two_runs_are_the_same_bits(tmp_path, digits, config):
    for name in "ab":
        loop.train(config, digits, tmp_path / name)
    assert_same_run(tmp_path / "a", tmp_path / "b")


def test_another_seed_is_another_run(tmp_path, digits):
    for seed in (0, 1):
        loop.train(dataclasses.replace(SMALL, seed=seed), digits, tmp_path / str(seed))
    assert not torch.equal(weights(tmp_path / "0")["fc1.weight"], weights(tmp_path / "1")["fc1.weight"])


def test_resumed_run_equals_the_uninterrupted_one(tmp_path, digits):
    loop.train(SMALL, digits, tmp_path / "whole")
    loop.train(dataclasses.replace(SMALL, epochs=1), digits, tmp_path / "parts")
    loop.train(SMALL, digits, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_interrupted_between_metrics_and_checkpoint_resumes_the_same(tmp_path, digits):
    loop.train(SMALL, digits, tmp_path / "whole")
    loop.train(dataclasses.replace(SMALL, epochs=1), digits, tmp_path / "parts")
    old = (tmp_path / "parts" / "last.pt").read_bytes()
    loop.train(dataclasses.replace(SMALL, epochs=2), digits, tmp_path / "parts", resume=True)
    (tmp_path / "parts" / "last.pt").write_bytes(old)
    loop.train(SMALL, digits, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_it_learns_and_reports_what_metrics_say(tmp_path, digits):
    metrics = loop.train(TrainConfig(widths=(32,), epochs=15, lr=0.1, threads=1), digits, tmp_path / "r")
    assert metrics["final"]["test_accuracy"] > 0.85
    assert metrics["epochs"][-1]["test_accuracy"] == metrics["final"]["test_accuracy"]
    assert metrics["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert json.loads((tmp_path / "r" / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert all(isclose(row["lr"], 0.1 * 0.95**k) for k, row in enumerate(metrics["epochs"]))


def test_weight_decay_reaches_biases_unless_spared(digits):
    def decays(spare):
        trainer = loop.Trainer(TrainConfig(weight_decay=0.5, decay_biases=not spare, threads=1), digits)
        groups = trainer.optimizer.param_groups
        return {p.ndim: group["weight_decay"] for group in groups for p in group["params"]}

    assert decays(spare=False) == {1: 0.5, 2: 0.5}
    assert decays(spare=True) == {1: 0.0, 2: 0.5}


def test_checkpoints_of_epochs_are_kept(tmp_path, digits):
    loop.train(SMALL, digits, tmp_path, every=2)
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == ["epoch_0000.pt", "epoch_0002.pt", "last.pt"]


def test_a_run_is_not_overwritten(tmp_path, digits):
    loop.train(dataclasses.replace(SMALL, epochs=1), digits, tmp_path)
    before = files(tmp_path)
    with pytest.raises(ConfigError, match="already holds a run"):
        loop.train(SMALL, digits, tmp_path)
    assert files(tmp_path) == before


def test_divergence_is_an_error(tmp_path, digits):
    with pytest.raises(TrainingError, match=r"not finite.*--lr"):
        loop.train(dataclasses.replace(SMALL, lr=1e6, epochs=20), digits, tmp_path)


def test_damaged_checkpoint_is_an_error(tmp_path, digits):
    loop.train(dataclasses.replace(SMALL, epochs=1), digits, tmp_path)
    (tmp_path / "last.pt").write_bytes(b"\x80\x02junk")
    with pytest.raises(DataError, match="not a checkpoint"):
        loop.train(SMALL, digits, tmp_path, resume=True)


def test_last_batch_of_one_image_is_left_out(tmp_path, digits):
    config = TrainConfig(batchnorm=True, widths=(8,), epochs=1, batch=299, threads=1)
    assert len(digits.y_train) % config.batch == 1
    loop.train(config, digits, tmp_path)


def test_config_goes_to_json_and_back():
    config = TrainConfig(data="mnist", widths=(1, 2), batchnorm=False, weight_decay=0.02)
    assert TrainConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "text", ['{"lr": 0}', '{"widht": 3}', "[1]", "{", '{"scaling": "none"}', '{"epochs": 0}']
)
def test_wrong_configs_are_refused(text):
    with pytest.raises(ConfigError):
        TrainConfig.from_json(text)


def test_missing_device_is_named():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert loop.pick_device("auto").type in ("cpu", "mps")
    with pytest.raises(ConfigError, match="--device is cuda"):
        loop.pick_device("cuda")
