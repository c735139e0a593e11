"""The peers, run for real: one row each. A peer that is not installed or cannot do it is `Absent`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx
import peer_onnxsim
import peer_torch
from jobs import Absent, Job

__all__ = ["PEERS", "Absent", "Job", "Peer"]


@dataclass(frozen=True)
class Peer:
    """`takes_data`: runs without and with calibration images; `data_only`: only with them."""

    name: str
    what: str
    cut: Callable[[Job], onnx.ModelProto]
    takes_data: bool = False
    data_only: bool = False


PEERS: dict[str, Peer] = {
    p.name: p
    for p in (
        Peer("onnxsim", "onnxsim.pruning.apply_structured_pruning, L2 norm", peer_onnxsim.magnitude),
        Peer(
            "onnxsim+ridge",
            "the same, then onnxsim.finetune.apply_pruning_finetune (without images: on random ones)",
            peer_onnxsim.with_ridge,
            takes_data=True,
        ),
        Peer(
            "onnxsim-wanda",
            "onnxsim.pruning.apply_structured_wanda_pruning",
            peer_onnxsim.wanda,
            data_only=True,
        ),
        Peer("torch-pruning", "torch_pruning, group L2 norm, exported by training/", peer_torch.group_norm),
    )
}
