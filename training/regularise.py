"""Terms added to the loss: DeCov, OrthoReg, and a pull towards mergeable nets with a snap at the end.

DeCov (Cogswell et al. 2016, arXiv:1511.06068) lowers the covariance of the hidden activations of a batch;
OrthoReg (Rodríguez et al. 2017, arXiv:1611.01967) the positive cosines between filters.

The pull goes the other way. The *joint row* of a filter is its weights and bias as one vector; where a ReLU
follows, filters whose joint rows have one direction are scaled copies of each other, which an exact merge
removes. Before each epoch the joint rows of a layer are grouped around leaders (Hartigan 1975: the row with
most neighbours of cosine ``mergeable_tau`` or more takes them, and so on). In every step a filter i of a
group of two or more costs ``mergeable · |r_i|² · δ(√(1 + |u_i - m|²/δ²) - 1)``: u_i is the direction of its
joint row r_i, m that of the mean direction of the group, δ = 0.01. That is almost the distance |u_i - m|, a
truncated fusion penalty (Shen & Huang 2010) on directions, so groups do not rest at a distance. |r_i|²
and m count as constants: a step of gradient descent turns r_i by about lr · mergeable radians whatever its
norm is, that is, the pull does not change when a filter is scaled and its outgoing weights are divided.

`snap` gives the filters of each such group the mean direction itself, each with its own norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from training.config import TrainConfig
from training.errors import ConfigError
from training.models.layers import Head

Layer = nn.Linear | nn.Conv2d
Penalty = Callable[[], torch.Tensor]

ORTHOREG_LAMBDA = 10.0
"""λ of OrthoReg's log(1 + exp(λ(cos - 1))), the value of its authors."""
SMOOTHING = 0.01
"""δ, the distance in radians below which the pull grows weaker."""


class Regularisers:
    """The penalties that a config asks for, on one model: call it after each forward pass in training."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._pulls = [Pull(layer, config) for layer in mergeable_layers(model, config)]
        self._penalties: list[Penalty] = list(self._pulls)
        if config.orthoreg:
            layers = list(hidden_layers(model))
            self._penalties.append(lambda: config.orthoreg * torch.stack([orthoreg(x) for x in layers]).sum())
        if config.decov:
            self._penalties.append(DeCov(model, config.decov))

    def start_epoch(self) -> None:
        """Find the groups of the pull anew."""
        for pull in self._pulls:
            pull.regroup()

    def __call__(self) -> torch.Tensor | float:
        """The sum of the penalties at the present weights and activations."""
        return sum((penalty() for penalty in self._penalties), 0.0)


def hidden_layers(model: nn.Module) -> Iterator[Layer]:
    """Every linear and convolutional layer but the last, which gives the logits."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    yield from layers[:-1]


def mergeable_layers(model: nn.Module, config: TrainConfig) -> list[Layer]:
    """The layers that the pull works on; `ConfigError` for networks whose filters have no joint rows."""
    if not (config.mergeable or config.snap):
        return []
    if config.model == "resnet" or config.batchnorm:
        raise ConfigError("--mergeable and --snap need filters with biases: no resnet, no --batchnorm")
    return list(hidden_layers(model))


def orthoreg(layer: Layer) -> torch.Tensor:
    """Sum over ordered pairs of filters of log(1 + exp(λ(cos - 1))) (its equation 9)."""
    unit = functional.normalize(layer.weight.flatten(1))
    terms = functional.softplus(ORTHOREG_LAMBDA * (unit @ unit.T - 1))
    return terms.sum() - terms.diagonal().sum()


def decov(activations: torch.Tensor) -> torch.Tensor:
    """½(|C|² - |diag C|²), C the covariance of `activations` (n, d) over the batch."""
    centred = activations - activations.mean(0)
    covariance = centred.T @ centred / len(activations)
    return ((covariance**2).sum() - (covariance.diagonal() ** 2).sum()) / 2


class DeCov:
    """DeCov on the hidden activations of a model's fully connected layers in its last forward pass."""

    def __init__(self, model: nn.Module, strength: float) -> None:
        self._strength, self._caught = strength, list[torch.Tensor]()
        heads = [m for m in model.modules() if isinstance(m, Head) and m.hidden]
        if not heads:
            raise ConfigError("--decov needs hidden fully connected layers: mlp, cnn or vgg")
        for head in heads:
            for k in range(1, head.hidden + 1):
                head.get_submodule(f"bn{k}").register_forward_hook(self._catch)

    def _catch(self, module: nn.Module, _: object, output: torch.Tensor) -> None:
        if module.training:
            self._caught.append(torch.relu(output))

    def __call__(self) -> torch.Tensor:
        """The penalty of the last forward pass in training."""
        caught, self._caught = self._caught, []
        return self._strength * torch.stack([decov(h) for h in caught]).sum()


class Pull:
    """The pull of one layer's filters towards the mean direction of their group."""

    def __init__(self, layer: Layer, config: TrainConfig) -> None:
        self._layer, self._strength, self._tau = layer, config.mergeable, config.mergeable_tau
        self._labels, self._many = torch.empty(0), torch.empty(0)

    @torch.no_grad()
    def regroup(self) -> None:
        """Group the filters around leaders at the present weights."""
        self._labels = leaders(functional.normalize(joint_rows(self._layer)), self._tau)
        self._many = (self._labels.bincount() > 1)[self._labels]

    def __call__(self) -> torch.Tensor:
        """The penalty of the filters in groups of two or more."""
        if not self._strength or not self._many.any():
            return self._layer.weight.new_zeros(())
        rows = joint_rows(self._layer)
        unit = functional.normalize(rows)
        gap = unit - mean_directions(unit.detach(), self._labels)[self._labels]
        chord = SMOOTHING * ((1 + (gap**2).sum(1) / SMOOTHING**2).sqrt() - 1)
        weight = (rows.detach() ** 2).sum(1) * self._many
        return self._strength * (weight * chord).sum()


def joint_rows(layer: Layer) -> torch.Tensor:
    """Weights and bias of every filter as one row, (filters, fan-in + 1)."""
    assert layer.bias is not None
    return torch.cat([layer.weight.flatten(1), layer.bias[:, None]], dim=1)


def leaders(unit: torch.Tensor, tau: float) -> torch.Tensor:
    """Group numbers (n,), counted from 0, of the rows of `unit` around leaders; ties go to the first row."""
    close = unit @ unit.T >= tau
    close.fill_diagonal_(True)
    labels = torch.full((len(unit),), -1, device=unit.device)
    for group, leader in enumerate(_leader_order(close, labels)):
        labels[close[leader] & (labels < 0)] = group
    return labels


def _leader_order(close: torch.Tensor, labels: torch.Tensor) -> Iterator[int]:
    """Rows by falling number of neighbours, those that have no group when their turn comes."""
    for row in close.sum(1).argsort(descending=True, stable=True).tolist():
        if labels[row] < 0:
            yield row


def mean_directions(unit: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The normalised mean (groups, d) of the directions of every group."""
    groups = int(labels.max()) + 1
    return functional.normalize(unit.new_zeros(groups, unit.shape[1]).index_add(0, labels, unit))


@torch.no_grad()
def snap(model: nn.Module, config: TrainConfig) -> int:
    """Give all filters of a group at cosine ``config.snap`` one direction; returns how many can now go."""
    removable = 0
    for layer in mergeable_layers(model, config):
        rows = joint_rows(layer).double()
        unit = functional.normalize(rows)
        labels = leaders(unit, config.snap)
        many = (labels.bincount() > 1)[labels]
        snapped = mean_directions(unit, labels)[labels] * rows.norm(dim=1, keepdim=True)
        rows = torch.where(many[:, None], snapped, rows)
        layer.weight.copy_(rows[:, :-1].reshape(layer.weight.shape))
        assert layer.bias is not None
        layer.bias.copy_(rows[:, -1])
        removable += len(labels) - (int(labels.max()) + 1)
    return removable
