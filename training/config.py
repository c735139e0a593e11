"""What determines a training run, as a value that goes to JSON and back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import ConfigError, DataError

DATASETS = ("digits", "mnist", "fashion-mnist", "cifar10")
MODELS = ("mlp", "cnn", "resnet", "alexnet", "vgg")
SCALINGS = ("raw", "symmetric", "centred", "standardised")
DEVICES = ("auto", "cpu", "cuda", "mps")
DROPOUT_PLACES = ("hidden", "first", "last", "inputs")
INITS = ("torch", "xavier", "he", "normal")
_STRENGTHS = ("weight_decay", "twin_noise", "decov", "orthoreg", "mergeable")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run depends on; two runs with equal configs on one machine give the same bits.

    ``widths`` are the hidden widths of the model (its own default when empty), ``fc`` those of the fully
    connected layers after the convolutions of ``cnn`` and ``vgg``. ``dropout_at`` is explained in
    `training.models.layers.Head`. ``batchnorm=None`` is the model's own default. The learning rate of epoch
    ``e`` (from 0) is ``lr * lr_decay**e``. ``weight_decay`` is the coefficient of the L2 penalty in the
    gradient (Krogh & Hertz 1991), on every parameter unless ``decay_biases`` is false, which spares vectors.
    ``threads=0`` leaves the number of CPU threads to torch; ``limit=0`` trains on the whole training set.
    ``kernel`` (height, width) is that of the convolutions of ``cnn``. ``init``, ``twins`` and ``twin_noise``
    are explained in `training.initial`, ``decov``, ``orthoreg``, ``mergeable`` and ``snap`` in
    `training.regularise`; 0 switches each off.
    """

    data: str = "digits"
    model: str = "mlp"
    widths: tuple[int, ...] = ()
    fc: tuple[int, ...] = ()
    depth: int = 20
    dropout: float = 0.0
    dropout_at: str = "hidden"
    batchnorm: bool | None = None
    scaling: str = "raw"
    epochs: int = 20
    batch: int = 100
    lr: float = 0.01
    lr_decay: float = 0.95
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_biases: bool = True
    augment: bool = False
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    limit: int = 0
    kernel: tuple[int, ...] = ()
    init: str = "torch"
    twins: int = 0
    twin_noise: float = 0.0
    decov: float = 0.0
    orthoreg: float = 0.0
    mergeable: float = 0.0
    mergeable_tau: float = 0.9
    snap: float = 0.0

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a value no run can have."""
        for name, choices in (
            ("data", DATASETS),
            ("model", MODELS),
            ("scaling", SCALINGS),
            ("device", DEVICES),
            ("init", INITS),
            ("dropout_at", DROPOUT_PLACES),
        ):
            _require(
                getattr(self, name) in choices, name, getattr(self, name), f"one of {', '.join(choices)}"
            )
        for name in ("epochs", "batch", "depth"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("seed", "threads", "limit", "twins", *_STRENGTHS):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("mergeable_tau", "snap"):
            _require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a cosine in [0, 1]")
        for name in ("lr", "lr_decay"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "above 0")
        for name in ("dropout", "momentum"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        for name in ("widths", "fc", "kernel"):
            sizes = getattr(self, name)
            _require(all(size >= 1 for size in sizes), name, sizes, "sizes of at least 1")
        _require(len(self.kernel) in (0, 2), "kernel", self.kernel, "a height and a width, such as 3,1")

    def to_json(self) -> str:
        """The config as JSON text, keys in the order of the fields."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """The config written by `to_json`; raises `ConfigError` for unknown keys or wrong values."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"the configuration is not JSON: {error}") from None
        return cls(**_known(values))

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """The config in a file; raises `DataError` when it cannot be read."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror}); is this the folder of a run?"
            ) from None
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None


def parse_sizes(text: str, option: str) -> tuple[int, ...]:
    """The sizes of a text such as 500,100; `option` is what an error calls it."""
    try:
        return tuple(int(part) for part in text.replace("-", ",").split(",") if part)
    except ValueError:
        raise ConfigError(f"{option} is {text}, but must be sizes such as 500,100") from None


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"--{name.replace('_', '-')} is {value}, but must be {wanted}")


def _known(values: Any) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    if not isinstance(values, dict) or set(values) - fields:
        unknown = sorted(set(values) - fields) if isinstance(values, dict) else [type(values).__name__]
        raise ConfigError(f"unknown in a training configuration: {', '.join(unknown)}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
