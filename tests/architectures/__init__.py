"""Micro-architectures with hand-written expectations; `ARCHITECTURES` maps name to entry."""

from __future__ import annotations

from . import (
    activation,
    attention,
    barrier,
    branch,
    captured,
    convolution,
    dense,
    edge,
    movement,
    norm,
    recurrent,
    storage,
)
from .base import Architecture, Group, Plant

MODULES = (
    dense,
    convolution,
    norm,
    activation,
    branch,
    movement,
    attention,
    storage,
    recurrent,
    barrier,
    captured,
    edge,
)
ARCHITECTURES: dict[str, Architecture] = {}
for _module in MODULES:
    for _entry in _module.ENTRIES:
        if _entry.name in ARCHITECTURES:
            raise ValueError(f"two architectures are called {_entry.name}")
        ARCHITECTURES[_entry.name] = _entry

__all__ = ["ARCHITECTURES", "Architecture", "Group", "Plant"]
