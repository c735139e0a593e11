"""Initial weights, and the symmetry law: filters that start out equal stay equal."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from training import loop
from training.config import TrainConfig
from training.errors import ConfigError
from training.models import build_model

TWINS = TrainConfig(widths=(12, 8), epochs=30, lr=0.3, twins=3, threads=1)


def first(model):
    return model.get_submodule("fc1").weight.detach()


def trained(config, digits):
    trainer = loop.Trainer(config, digits)
    for _ in range(config.epochs):
        trainer.run_epoch(loop.Silent())
    return trainer.model


def test_twins_start_equal_in_all_that_moves_them(digits):
    model = build_model(TWINS, digits.shape, digits.classes)
    for tensor in (first(model), model.get_submodule("fc1").bias, model.get_submodule("fc2").weight.T):
        assert torch.equal(tensor[:3].repeat(4, *[1] * (tensor.ndim - 1)), tensor)
    assert len({tuple(row) for row in first(model).tolist()}) == 3


@pytest.mark.parametrize("twins", [1, 3])
def test_equal_filters_stay_equal(digits, twins):
    config = dataclasses.replace(TWINS, twins=twins, seed=1)
    start, end = first(build_model(config, digits.shape, digits.classes)), first(trained(config, digits))
    moved = (end - start).abs().max()
    apart = (end - end[:twins].repeat(12 // twins, 1)).abs().max()
    assert moved > 0.05
    assert apart < 1e-5 * moved


def test_unequal_outgoing_weights_part_them(digits):
    def apart(config, spoil):
        trainer = loop.Trainer(config, digits)
        with torch.no_grad():
            trainer.model.get_submodule("fc2").weight[:, :3] *= spoil
        for _ in range(10):
            trainer.run_epoch(loop.Silent())
        weight = first(trainer.model)
        return (weight - weight[:3].repeat(4, 1)).abs().max().item()

    assert apart(TWINS, 1.0) < 1e-5
    assert apart(TWINS, 2.0) > 1e-3


def test_noise_is_a_share_of_the_weights(digits):
    def weights(noise):
        return first(build_model(dataclasses.replace(TWINS, twin_noise=noise), digits.shape, digits.classes))

    ratio = (weights(0.3) - weights(0.0)).std() / weights(0.0).std()
    assert ratio.item() == pytest.approx(0.3, rel=0.1)


def test_convolutions_have_twins_too(digits):
    model = build_model(dataclasses.replace(TWINS, model="cnn"), digits.shape, digits.classes)
    weight = model.get_submodule("conv1").weight
    assert torch.equal(weight[:3], weight[3:6])


@pytest.mark.parametrize(
    "values", [{"twins": 13}, {"model": "resnet", "depth": 8}, {"widths": (8,), "model": "cnn"}]
)
def test_impossible_twins_are_refused(digits, values):
    with pytest.raises(ConfigError, match="--twins"):
        build_model(dataclasses.replace(TWINS, **values), digits.shape, digits.classes)


@pytest.mark.parametrize(
    ("init", "deviation"), [("xavier", (2 / (64 + 500)) ** 0.5), ("he", (2 / 64) ** 0.5), ("normal", 0.01)]
)
def test_initial_weights_have_their_deviation(digits, init, deviation):
    model = build_model(TrainConfig(init=init), digits.shape, digits.classes)
    assert first(model).std().item() == pytest.approx(deviation, rel=0.03)
    assert not model.get_submodule("fc1").bias.any()


def test_kernel_of_the_convolution(digits):
    model = build_model(TrainConfig(model="cnn", widths=(4,), kernel=(3, 1)), digits.shape, digits.classes)
    assert model.get_submodule("conv1").weight.shape == (4, 1, 3, 1)
    assert model(torch.zeros(2, *digits.shape)).shape == (2, 10)


def test_checkpoints_of_steps_and_the_loss_of_each(tmp_path, digits):
    config = TrainConfig(widths=(8,), epochs=2, threads=1)
    metrics = loop.train(config, digits, tmp_path / "whole", steps=(0, 2, 4))
    assert len(metrics["step_losses"]) == 6
    assert sorted(p.name for p in (tmp_path / "whole").glob("step*")) == [
        loop.step_name(k) for k in (0, 2, 4)
    ]
    loop.train(dataclasses.replace(config, epochs=1), digits, tmp_path / "parts", steps=(0, 2, 4))
    resumed = loop.train(config, digits, tmp_path / "parts", steps=(0, 2, 4), resume=True)
    assert resumed == metrics
    mean = sum(100 * loss for loss in metrics["step_losses"][:3]) / 300
    assert metrics["epochs"][0]["train_loss"] == pytest.approx(mean)
