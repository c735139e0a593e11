"""The networks: the paper's MLP, CNN and AlexNet variant, a CIFAR ResNet and a small VGG."""

from __future__ import annotations

import torch
from torch import nn

from training.config import TrainConfig
from training.errors import ConfigError
from training.initial import initialise
from training.models.alexnet import AlexNet
from training.models.cnn import Cnn
from training.models.mlp import Mlp
from training.models.resnet import ResNet
from training.models.vgg import Vgg

Shape = tuple[int, int, int]


def build_model(config: TrainConfig, shape: Shape, classes: int) -> nn.Module:
    """The network of `config` for images of `shape` (channels, height, width), initialised from its seed."""
    torch.manual_seed(config.seed)
    model = _build(config, shape, classes)
    initialise(model, config)
    return model


def _build(config: TrainConfig, shape: Shape, classes: int) -> nn.Module:
    norm = config.batchnorm if config.batchnorm is not None else config.model == "resnet"
    drop, at, widths = config.dropout, config.dropout_at, config.widths
    if config.model == "mlp":
        return Mlp(shape, classes, widths or (500, 100), drop, norm, at)
    if config.model == "cnn":
        return Cnn(shape, classes, widths or (100, 50), config.fc or (120, 84), drop, norm, config.kernel, at)
    if config.model in ("resnet", "alexnet") and at not in ("hidden", "last"):
        raise ConfigError(f"--dropout-at is {at}, but {config.model} has dropout before its last layer only")
    if config.model == "resnet":
        return ResNet(shape, classes, config.depth, widths or (16, 32, 64), drop, norm)
    if config.model == "alexnet":
        return AlexNet(shape, classes, widths or (64, 192, 384, 256, 256), drop, norm)
    return Vgg(shape, classes, widths or (32, 32, 64, 64, 128, 128), config.fc or (128,), drop, norm, at)
