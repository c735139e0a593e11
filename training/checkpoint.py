"""Checkpoints and the files of a run: config.json, metrics.json, last.pt, snapped.pt, epoch_NNNN.pt and
step_NNNNNN.pt.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.config import TrainConfig
from training.data import ImageSet
from training.errors import DataError
from training.models import build_model
from training.scaling import Scaling

LAST, SNAPPED = "last.pt", "snapped.pt"


def save_checkpoint(path: Path, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write the state after `epoch` epochs; an interrupted write leaves the old file."""
    state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint: epoch, model, optimizer. Tensors only, no code. Raises `DataError`."""
    if path.is_file() and not zipfile.is_zipfile(path):
        raise DataError(f"{path}: not a checkpoint of this program")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); is this the folder of a run?") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise DataError(f"{path}: not a checkpoint of this program ({type(error).__name__})") from None
    if not isinstance(state, dict) or not {"epoch", "model", "optimizer"} <= set(state):
        raise DataError(f"{path}: not a checkpoint of this program")
    return state


def save_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """Write metrics.json; the same run writes the same bytes."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def load_metrics(path: Path) -> dict[str, Any]:
    """The metrics of a run; raises `DataError`."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def newest(run: Path) -> str:
    """The checkpoint that a run ends with: the snapped one where there is one."""
    return SNAPPED if (run / SNAPPED).is_file() else LAST


def restore_model(run: Path, data: ImageSet, checkpoint: str = "") -> tuple[TrainConfig, nn.Module, Scaling]:
    """The trained network of a run in evaluation mode on the CPU, with its config and input scaling.

    `checkpoint` is a file name in `run`, by default the one that the run ends with.
    """
    config = TrainConfig.load(run / "config.json")
    model = build_model(config, data.shape, data.classes)
    model.load_state_dict(load_checkpoint(run / (checkpoint or newest(run)))["model"])
    return config, model.eval(), Scaling.fit(config.scaling, data)
