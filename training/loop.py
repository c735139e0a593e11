"""The training loop: SGD with momentum, weight decay and an exponentially decaying learning rate.

Order of the images, augmentation and dropout of an epoch are drawn from (seed, epoch) alone, so a resumed run
is the uninterrupted one, bit for bit on one machine. Penalties other than weight decay are those of
`training.regularise`; losses that are shown or written are the cross-entropy alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from training.augment import crop_and_flip
from training.checkpoint import LAST, SNAPPED, load_checkpoint, load_metrics, save_checkpoint, save_metrics
from training.config import TrainConfig
from training.data import ImageSet
from training.errors import ConfigError, TrainingError
from training.models import build_model
from training.progress import Reporter, Silent
from training.regularise import Regularisers, snap
from training.scaling import Scaling

_EVAL_BATCH = 1000

OnStep = Callable[[float], None]
"""Is told the loss before each step of SGD, once the step is taken."""


@dataclass
class Split:
    """Images (bytes) and labels of one split, on the device."""

    x: torch.Tensor
    y: torch.Tensor


class Trainer:
    """One run: the network, its optimiser and the data on one device."""

    def __init__(self, config: TrainConfig, data: ImageSet) -> None:
        self.config, self.scaling = config, Scaling.fit(config.scaling, data)
        self.device = pick_device(config.device)
        _make_deterministic(config, self.device)
        convolutional = config.model != "mlp"
        self.layout = torch.channels_last if convolutional else torch.contiguous_format
        self.model = build_model(config, data.shape, data.classes).to(self.device, memory_format=self.layout)
        self.regularisers = Regularisers(self.model, config)
        self.optimizer = torch.optim.SGD(_parameter_groups(self.model, config), config.lr, config.momentum)
        self.train = Split(*(torch.from_numpy(a).to(self.device) for a in (data.x_train, data.y_train)))
        self.test = Split(*(torch.from_numpy(a).to(self.device) for a in (data.x_test, data.y_test)))
        self.done = 0
        self.history: list[dict[str, Any]] = []
        self.step_losses: list[float] = []

    def restore(self, run: Path) -> None:
        """Continue from the last checkpoint of a run."""
        state = load_checkpoint(run / LAST)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["epoch"]
        metrics = load_metrics(run / "metrics.json")
        self.history = metrics["epochs"][: self.done]
        losses = metrics.get("step_losses", [])
        self.step_losses = losses[: len(losses) // max(len(metrics["epochs"]), 1) * self.done]

    def run_epoch(self, reporter: Reporter, on_step: OnStep | None = None) -> dict[str, Any]:
        """Train one more epoch, evaluate, and return its numbers."""
        lr = self.config.lr * self.config.lr_decay**self.done
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss, accuracy = self._train_epoch(reporter, on_step)
        self.done += 1
        test_loss, test_accuracy = self.evaluate(self.test)
        row = {"epoch": self.done, "lr": lr, "train_loss": loss, "train_accuracy": accuracy}
        row |= {"test_loss": test_loss, "test_accuracy": test_accuracy}
        self.history.append(row)
        return row

    def _train_epoch(self, reporter: Reporter, on_step: OnStep | None) -> tuple[float, float]:
        generator = _seed_epoch(self.config.seed, self.done)
        batches = torch.randperm(len(self.train.y), generator=generator).split(self.config.batch)
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches = batches[:-1]  # batch normalisation needs two images
        self.regularisers.start_epoch()
        self.model.train()
        total = correct = seen = 0.0
        for k, batch in enumerate(batches, start=1):
            loss, right = self._step(batch.to(self.device), generator)
            seen += len(batch)
            total += loss * len(batch)
            correct += right
            if on_step:
                on_step(loss)
            if k % 20 == 0 or k == len(batches):
                self._check_finite(total)
                reporter.batch(self.done + 1, k, len(batches), total / seen, correct / seen)
        return total / seen, correct / seen

    def _step(self, batch: torch.Tensor, generator: torch.Generator) -> tuple[float, float]:
        """One step of SGD; the loss and the number of right answers before it."""
        images, labels = self.train.x[batch], self.train.y[batch]
        if self.config.augment:
            images = crop_and_flip(images, generator)
        logits = self.model(self._inputs(images))
        loss = functional.cross_entropy(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        (loss + self.regularisers()).backward()
        self.optimizer.step()
        return loss.item(), (logits.argmax(1) == labels).sum().item()

    def _inputs(self, images: torch.Tensor) -> torch.Tensor:
        return self.scaling.apply(images).contiguous(memory_format=self.layout)

    def _check_finite(self, total: float) -> None:
        if total != total or total == float("inf"):
            raise TrainingError(
                f"the loss is not finite in epoch {self.done + 1}; lower --lr (now {self.config.lr})"
            )

    @torch.no_grad()
    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean cross-entropy and accuracy of the network in evaluation mode."""
        self.model.eval()
        loss = correct = 0.0
        for x, y in zip(split.x.split(_EVAL_BATCH), split.y.split(_EVAL_BATCH), strict=True):
            logits = self.model(self._inputs(x))
            loss += functional.cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
        return loss / len(split.y), correct / len(split.y)

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json so far."""
        traced = {"step_losses": self.step_losses} if self.step_losses else {}
        return traced | {
            "schema": 1,
            "config": asdict(self.config),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "scaling": self.scaling.to_dict(),
            "environment": {
                "torch": torch.__version__,
                "device": str(self.device),
                "threads": torch.get_num_threads(),
            },
            "epochs": self.history,
        }


def train(
    config: TrainConfig,
    data: ImageSet,
    out: Path,
    *,
    resume: bool = False,
    every: int = 0,
    steps: Collection[int] = (),
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train as `config` says and write config.json, metrics.json and last.pt into the folder `out`.

    `resume` continues the run found there; `every` keeps the checkpoints of every so many epochs as
    epoch_NNNN.pt (and the untrained epoch_0000.pt). `steps` keeps those after so many steps of SGD as
    step_NNNNNN.pt, and the loss of every step as ``step_losses`` in the metrics. Returns the metrics;
    ``final`` holds loss and accuracy on both whole splits. With ``config.snap``, snapped.pt holds the
    trained network snapped, and ``snapped`` its numbers.
    """
    reporter = reporter or Silent()
    trainer = Trainer(config, data)
    if resume:
        trainer.restore(out)
    _start_folder(out, config, resume)
    on_step = Snapshots(trainer, out, steps) if steps else None
    if every and not resume:
        save_checkpoint(out / "epoch_0000.pt", 0, trainer.model, trainer.optimizer)
    while trainer.done < config.epochs:
        row = trainer.run_epoch(reporter, on_step)
        reporter.epoch(row, config.epochs)
        save_metrics(out / "metrics.json", trainer.metrics())
        save_checkpoint(out / LAST, trainer.done, trainer.model, trainer.optimizer)
        if every and trainer.done % every == 0:
            save_checkpoint(
                out / f"epoch_{trainer.done:04d}.pt", trainer.done, trainer.model, trainer.optimizer
            )
    metrics = trainer.metrics() | {"final": _final(trainer)}
    if config.snap:
        metrics["snapped"] = {"removable": snap(trainer.model, config)} | _final(trainer)
        save_checkpoint(out / SNAPPED, trainer.done, trainer.model, trainer.optimizer)
    save_metrics(out / "metrics.json", metrics)
    return metrics


class Snapshots:
    """Keeps the loss of every step, and the checkpoints of `steps` (0: untrained)."""

    def __init__(self, trainer: Trainer, out: Path, steps: Collection[int]) -> None:
        if trainer.done and not trainer.step_losses:
            raise ConfigError(f"{out} was begun without steps to keep; train it anew")
        self._trainer, self._out, self._steps = trainer, out, frozenset(steps)
        self._keep()

    def __call__(self, loss: float) -> None:
        """A step with this loss was taken."""
        self._trainer.step_losses.append(loss)
        self._keep()

    def _keep(self) -> None:
        taken, trainer = len(self._trainer.step_losses), self._trainer
        if taken in self._steps:
            save_checkpoint(self._out / step_name(taken), trainer.done, trainer.model, trainer.optimizer)


def step_name(step: int) -> str:
    """The checkpoint after `step` steps of SGD."""
    return f"step_{step:06d}.pt"


def pick_device(name: str) -> torch.device:
    """The device called `name`; `auto` prefers CUDA, then Apple's GPU. An absent one is a `ConfigError`."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if not present[name]:
        raise ConfigError(
            f"--device is {name}, but this PyTorch ({torch.__version__}) finds no such device; take cpu"
        )
    return torch.device(name)


def _final(trainer: Trainer) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, split in (("train", trainer.train), ("test", trainer.test)):
        values[f"{name}_loss"], values[f"{name}_accuracy"] = trainer.evaluate(split)
    return values


def _start_folder(out: Path, config: TrainConfig, resume: bool) -> None:
    if not resume and (out / LAST).exists():
        raise ConfigError(
            f"{out} already holds a run; continue it with --resume, or name another folder with --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / SNAPPED).unlink(missing_ok=True)
    (out / "config.json").write_text(config.to_json(), encoding="utf-8")


def _seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed torch's own generators (dropout) for an epoch, and return one for order and augmentation."""
    mixed = (seed * 1_000_003 + epoch + 1) % 2**63
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed)


def _make_deterministic(config: TrainConfig, device: torch.device) -> None:
    if config.threads:
        torch.set_num_threads(config.threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False


def _parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Weights, and the vectors (biases, batch normalisation), which are spared the decay on request."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    decay = config.weight_decay if config.decay_biases else 0.0
    return [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": decay},
    ]
