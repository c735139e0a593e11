"""Initial weights other than PyTorch's, and layers whose filters start out equal.

``init``: `xavier` (Glorot & Bengio 2010, uniform), `he` (He et al. 2015, normal) or `normal` (standard
deviation 0.01, Krizhevsky et al. 2012), biases zero. `torch` is PyTorch's own: uniform in ± 1/√fan-in, biases
too.

``twins = k`` copies the first k filters of the first layer over the others, incoming weights, bias and
outgoing weights alike: filter i starts as filter i mod k. Gradient descent moves such filters alike (in real
numbers), so they stay equal; ``twin_noise`` adds normal noise to the incoming weights, its standard deviation
that share of theirs.
"""

from __future__ import annotations

import torch
from torch import nn

from training.config import TrainConfig
from training.errors import ConfigError

_FIRST = {"mlp": ("fc1", "fc2"), "cnn": ("conv1", "conv2")}


def initialise(model: nn.Module, config: TrainConfig) -> None:
    """Overwrite the weights of `model` as `config` says; draws from torch's generator, seeded before."""
    if config.init != "torch":
        for layer in (m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)):
            _draw(layer, config.init)
    if config.twins:
        make_twins(model, config)


@torch.no_grad()
def _draw(layer: nn.Linear | nn.Conv2d, init: str) -> None:
    if init == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    elif init == "he":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def make_twins(model: nn.Module, config: TrainConfig) -> None:
    """Make filter i of the first layer a copy of filter i mod `twins`, then add the noise.

    Raises `ConfigError` for models other than mlp and cnn, and where no second layer of its kind follows.
    """
    names = dict(model.named_modules())
    first, second = (names.get(name) for name in _FIRST.get(config.model, ("", "")))
    if not isinstance(first, nn.Linear | nn.Conv2d) or not isinstance(second, nn.Linear | nn.Conv2d):
        raise ConfigError("--twins needs an mlp of two layers or more, or a cnn of two convolutions or more")
    width = len(first.weight)
    if config.twins > width:
        raise ConfigError(f"--twins is {config.twins}, but the first layer has {width} filters")
    source = torch.arange(width) % config.twins
    first.weight.copy_(first.weight[source])
    second.weight.copy_(second.weight[:, source])
    if first.bias is not None:
        first.bias.copy_(first.bias[source])
    first.weight += config.twin_noise * first.weight.std() * torch.randn_like(first.weight)
