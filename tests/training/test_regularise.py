"""Regularisers: values and gradients, the motion of the pull, and the snap that the exact pass uses."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from training import export, loop, regularise
from training.config import TrainConfig
from training.errors import ConfigError
from training.models import build_model

PULLED = TrainConfig(
    widths=(48, 24),
    epochs=30,
    lr=0.2,
    weight_decay=0.005,
    mergeable=0.05,
    mergeable_tau=0.7,
    snap=0.9,
    threads=1,
)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(rows):
    """A layer with these joint rows."""
    rows = torch.as_tensor(rows)
    layer = nn.Linear(rows.shape[1] - 1, len(rows), dtype=rows.dtype)
    with torch.no_grad():
        layer.weight.copy_(rows[:, :-1])
        layer.bias.copy_(rows[:, -1])
    return layer


def angle(a, b):
    chord = functional.normalize(a, dim=0) - functional.normalize(b, dim=0)
    return 2 * math.asin(min(chord.norm().item() / 2, 1))


def test_decov_is_the_covariance_off_the_diagonal():
    h = randn(40, 6)
    covariance = np.cov(h.numpy().T, bias=True)
    expected = 0.5 * (np.sum(covariance**2) - np.sum(np.diag(covariance) ** 2))
    assert regularise.decov(h).item() == pytest.approx(expected, rel=1e-12)


def test_decov_is_nothing_for_one_unit_and_its_gradient_is_right():
    assert regularise.decov(randn(40, 1)).item() == pytest.approx(0, abs=1e-15)
    assert torch.autograd.gradcheck(regularise.decov, (randn(7, 4).requires_grad_(),))


def test_orthoreg_of_orthogonal_and_of_equal_filters():
    pair = math.log1p(math.exp(-10))
    assert regularise.orthoreg(linear(torch.eye(4, 6, dtype=torch.float64))).item() == pytest.approx(
        12 * pair
    )
    equal = linear(torch.ones(3, 5, dtype=torch.float64))
    assert regularise.orthoreg(equal).item() == pytest.approx(6 * math.log(2))


def test_orthoreg_gradient_is_right():
    layer = linear(randn(4, 6))

    def penalty(weight):
        layer.weight = nn.Parameter(torch.zeros_like(weight))
        del layer.weight
        layer.weight = weight
        return regularise.orthoreg(layer)

    assert torch.autograd.gradcheck(penalty, (randn(4, 5, seed=1).requires_grad_(),))


def pull_of(rows, strength=0.1, tau=0.8):
    layer = linear(rows)
    pull = regularise.Pull(layer, TrainConfig(mergeable=strength, mergeable_tau=tau))
    pull.regroup()
    return layer, pull


def gradient(layer, pull):
    layer.zero_grad()
    pull().backward()
    return torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1)


def near(count=4, size=9, noise=0.1):
    """Rows around one direction, of norms from 0.01 to 10."""
    rows = randn(1, size) + noise * randn(count, size, seed=1)
    return functional.normalize(rows) * torch.logspace(-2, 1, count, dtype=torch.float64)[:, None]


def test_pull_gradient_is_that_of_its_definition():
    rows = near()
    layer, pull = pull_of(rows)
    got = gradient(layer, pull)
    centre = functional.normalize(functional.normalize(rows).mean(0), dim=0)
    delta, eps = regularise.SMOOTHING, 1e-6

    def cost(row, norm):
        gap = (functional.normalize(row, dim=0) - centre).norm()
        return 0.1 * norm**2 * delta * ((1 + gap**2 / delta**2).sqrt() - 1)

    for i, row in enumerate(rows):
        norm = row.norm()
        for k in range(len(row)):
            step = torch.zeros_like(row)
            step[k] = eps * norm
            numeric = (cost(row + step, norm) - cost(row - step, norm)) / (2 * eps * norm)
            assert got[i, k].item() == pytest.approx(numeric.item(), rel=1e-5, abs=1e-8 * norm.item())


def test_a_step_turns_every_filter_alike_whatever_its_norm():
    rows = near(noise=0.2)
    layer, pull = pull_of(rows)
    moved = rows - 0.01 * gradient(layer, pull)
    turned = [angle(a, b) for a, b in zip(rows, moved, strict=True)]
    assert turned == pytest.approx([0.01 * 0.1] * len(rows), rel=0.02)


def test_pull_does_not_see_scale():
    rows, scale = near(), torch.tensor([3.0, 0.2, 1.0, 50.0], dtype=torch.float64)[:, None]
    one, two = gradient(*pull_of(rows)), gradient(*pull_of(scale * rows))
    assert torch.allclose(two, scale * one, rtol=1e-9)


def test_descent_ends_with_one_direction():
    rows = near(noise=0.2)
    assert min(angle(rows[0], row) for row in rows[1:]) > 0.05
    for _ in range(400):
        rows = rows - 0.05 * gradient(*pull_of(rows))
    assert max(angle(rows[0], row) for row in rows[1:]) < 1e-3


def test_filters_without_a_neighbour_are_left_alone():
    rows = torch.cat([near(2), torch.eye(9, dtype=torch.float64)[3:4] * 5])
    grad = gradient(*pull_of(rows))
    assert grad[:2].abs().min() > 0
    assert torch.equal(grad[2], torch.zeros(9, dtype=torch.float64))


def test_leaders_do_not_chain():
    angles = torch.arange(5) * 0.3
    unit = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert regularise.leaders(unit, math.cos(0.31)).tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("tau", [0.3, 0.6, 0.9])
def test_members_are_close_to_their_leader(tau):
    unit = functional.normalize(randn(60, 4))
    labels = regularise.leaders(unit, tau)
    for group in range(int(labels.max()) + 1):
        members = unit[labels == group]
        assert ((members @ members.T).min(1).values >= tau - 1e-12).any()


def test_snap_keeps_norms_and_single_filters():
    layer = linear(torch.cat([near(3), torch.eye(9, dtype=torch.float64)[3:4]]).float())
    model = nn.Sequential(layer, nn.Linear(4, 2))
    before = regularise.joint_rows(layer).detach().clone()
    assert regularise.snap(model, TrainConfig(snap=0.8)) == 2
    after = regularise.joint_rows(layer).detach()
    assert torch.equal(after[3], before[3])
    assert torch.allclose(after.norm(dim=1), before.norm(dim=1), rtol=1e-6)
    assert max(angle(after[0], row) for row in after[1:3]) < 1e-6


def test_the_exact_pass_removes_what_the_snap_made(tmp_path, digits):
    metrics = loop.train(PULLED, digits, tmp_path / "r")
    removable = metrics["snapped"]["removable"]
    assert removable > 0
    export.export(tmp_path / "r", digits, tmp_path / "m.onnx", exporter="torchscript")
    call = [sys.executable, "-m", "onnxdup", "merge", "m.onnx", "-o", "s.onnx", "--tau", "1", "--json", "-q"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    filters = json.loads(done.stdout)["filters"]
    assert filters["before"] - filters["after"] >= removable


def test_the_pull_makes_more_duplicates_than_plain_training(tmp_path, digits):
    removable = {}
    for name, config in (("plain", dataclasses.replace(PULLED, mergeable=0.0)), ("pulled", PULLED)):
        metrics = loop.train(config, digits, tmp_path / name)
        removable[name] = metrics["snapped"]["removable"]
        assert metrics["snapped"]["test_accuracy"] > metrics["final"]["test_accuracy"] - 0.05
    assert removable["pulled"] > removable["plain"]


@pytest.mark.parametrize("extra", [{}, {"mergeable": 0.0, "snap": 0.0, "decov": 0.1, "orthoreg": 1e-3}])
def test_resumed_run_equals_the_uninterrupted_one(tmp_path, digits, extra):
    config = dataclasses.replace(PULLED, **extra)
    loop.train(config, digits, tmp_path / "whole")
    loop.train(dataclasses.replace(config, epochs=12), digits, tmp_path / "parts")
    loop.train(config, digits, tmp_path / "parts", resume=True)
    for name in ("metrics.json", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.parametrize(("name", "measure"), [("orthoreg", "cosine"), ("decov", "covariance")])
def test_decorrelation_does_what_it_says(tmp_path, digits, name, measure):
    found = {}
    for strength in (0.0, 0.01 if name == "orthoreg" else 0.3):
        config = TrainConfig(widths=(32, 16), epochs=15, lr=0.1, threads=1, **{name: strength})
        trainer = loop.Trainer(config, digits)
        for _ in range(config.epochs):
            trainer.run_epoch(loop.Silent())
        found[strength] = _measured(trainer, measure)
    assert found[max(found)] < found[0.0]


def _measured(trainer, measure):
    layer = trainer.model.get_submodule("fc1")
    if measure == "cosine":
        return regularise.orthoreg(layer).item()
    with torch.no_grad():
        return regularise.decov(torch.relu(layer(trainer._inputs(trainer.train.x).flatten(1)))).item()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model": "resnet", "depth": 8, "mergeable": 0.1}, "no resnet"),
        ({"snap": 0.9, "batchnorm": True}, "no --batchnorm"),
        ({"model": "resnet", "depth": 8, "decov": 0.1}, "--decov needs"),
    ],
)
def test_networks_without_what_a_term_needs_are_refused(digits, values, says):
    config = TrainConfig(**values)
    with pytest.raises(ConfigError, match=says):
        regularise.Regularisers(build_model(config, digits.shape, digits.classes), config)


@pytest.mark.parametrize("values", [{"mergeable": -1.0}, {"snap": 1.5}, {"kernel": (3,)}, {"init": "zeros"}])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ConfigError):
        TrainConfig(**values)
