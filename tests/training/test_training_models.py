"""Shapes and sizes of the networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.config import TrainConfig
from training.errors import ConfigError
from training.models import build_model

CIFAR, DIGITS = (3, 32, 32), (1, 8, 8)


def build(shape=CIFAR, **options):
    return build_model(TrainConfig(**options), shape, 10)


def size(model):
    return sum(p.numel() for p in model.parameters())


def layers(model, kind):
    return [m for m in model.modules() if isinstance(m, kind)]


def test_mlp_is_the_papers():
    model = build(model="mlp", widths=(500, 100))
    assert [tuple(m.weight.shape) for m in layers(model, nn.Linear)] == [(500, 3072), (100, 500), (10, 100)]
    assert size(model) == 3072 * 500 + 500 + 500 * 100 + 100 + 100 * 10 + 10
    assert list(model.state_dict()) == [f"fc{k}.{p}" for k in (1, 2, 3) for p in ("weight", "bias")]


def test_cnn_is_the_papers():
    model = build(model="cnn", widths=(100, 50))
    assert [tuple(m.weight.shape) for m in layers(model, nn.Conv2d)] == [(100, 3, 5, 5), (50, 100, 5, 5)]
    assert [tuple(m.weight.shape) for m in layers(model, nn.Linear)] == [(120, 1250), (84, 120), (10, 84)]


def test_alexnet_is_the_papers():
    model = build(model="alexnet")
    assert [m.out_channels for m in layers(model, nn.Conv2d)] == [64, 192, 384, 256, 256]


@pytest.mark.parametrize(("depth", "parameters"), [(8, 78_042), (20, 272_474), (56, 855_770)])
def test_resnet_has_the_known_number_of_parameters(depth, parameters):
    assert size(build(model="resnet", depth=depth)) == parameters


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet", "vgg", "alexnet"])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("shape", [CIFAR, (1, 28, 28), DIGITS])
def test_logits_come_out(model, norm, shape):
    if model == "alexnet" and shape != CIFAR:
        with pytest.raises(ConfigError, match="32×32"):
            build(shape, model=model)
        return
    net = build(shape, model=model, depth=8, batchnorm=norm, dropout=0.2)
    assert net(torch.rand(3, *shape)).shape == (3, 10)
    norms = layers(net, nn.modules.batchnorm._BatchNorm)
    assert bool(norms) == norm
    assert all((conv.bias is None) == norm for conv in layers(net, nn.Conv2d))


@pytest.mark.parametrize(
    ("place", "dropped"),
    [("hidden", ["fc2", "fc3"]), ("first", ["fc2"]), ("last", ["fc3"]), ("inputs", ["fc1"])],
)
def test_dropout_is_where_it_is_asked_for(place, dropped):
    net = build(DIGITS, widths=(30, 20), dropout=0.5, dropout_at=place)
    taken, given = {}, {"fc1": torch.ones(4, 64)}
    for name, following in (("fc1", "fc2"), ("fc2", "fc3"), ("fc3", "")):

        def keep(_, inputs, output, name=name, following=following):
            taken[name], given[following] = inputs[0], torch.relu(output)

        net.get_submodule(name).register_forward_hook(keep)
    net(torch.ones(4, *DIGITS))
    assert [name for name in taken if not torch.equal(taken[name], given[name])] == dropped
    net.eval()(torch.ones(4, *DIGITS))
    assert all(torch.equal(taken[name], given[name]) for name in taken)


def test_seed_decides_the_initial_weights():
    one, same, other = (build(seed=s).state_dict()["fc1.weight"] for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "resnet", "depth": 9},
        {"model": "resnet", "depth": 2},
        {"model": "alexnet", "widths": (1, 2)},
        {"model": "cnn", "widths": (4, 4, 4, 4)},
        {"model": "resnet", "dropout": 0.5, "dropout_at": "first"},
        {"model": "alexnet", "dropout": 0.5, "dropout_at": "inputs"},
        {"dropout": 0.5, "dropout_at": "fc1"},
    ],
)
def test_impossible_networks_are_refused(options):
    with pytest.raises(ConfigError):
        build(**options)
