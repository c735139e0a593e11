"""The registry behind the operator table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxdup.channels.tracer import Tracer
from onnxdup.graph import Node

Rule: TypeAlias = Callable[[Tracer, Node], None]


class Resizer(Protocol):
    """What a `@resize` hook may ask and do once channels are chosen to go."""

    def kept(self, value: str, axis: int) -> npt.NDArray[np.bool_]:
        """Which entries of an axis of an activation stay, at its old length."""
        ...

    def count(self, value: str, axis: int) -> int:
        """How many stay."""
        ...

    def touched(self, value: str) -> bool:
        """Does the activation lose anything?"""
        ...

    def integers(self, node: Node, slot: int) -> list[int | None] | None:
        """An integer input element by element, None for computed elements; None where nothing is known."""
        ...

    def shape(self, value: str) -> tuple[int, ...]:
        """The old concrete shape."""
        ...

    def opset(self) -> int:
        """Opset of the default domain."""
        ...

    def set_attr(self, node: Node, name: str, value: Any) -> None:
        """Change an attribute; None removes it."""
        ...

    def always_zero(self, value: str) -> bool:
        """Is a value zero whatever the input?"""
        ...

    def omit(self, node: Node, slot: int) -> None:
        """Take an optional input away."""
        ...

    def set_integers(self, node: Node, slot: int, values: Sequence[int | None]) -> None:
        """Give the node its own integer constant at an input."""
        ...


Resize: TypeAlias = Callable[[Resizer, Node], None]


@dataclass(frozen=True)
class Operator:
    """A row of the operator table."""

    name: str
    kind: str
    passes: str
    rule: Rule


RULES: dict[str, Operator] = {}
RESIZE: dict[str, Resize] = {}


def key(node: Node) -> str:
    """Name of an operator in the table: `Conv`, `com.microsoft::FusedConv`."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def rule(*names: str, kind: str, passes: str) -> Callable[[Rule], Rule]:
    """Register a rule; `kind` and `passes` are what the operator table prints."""

    def add(function: Rule) -> Rule:
        for name in names:
            RULES[name] = Operator(name, kind, passes, function)
        return function

    return add


def resize(*names: str) -> Callable[[Resize], Resize]:
    """Register how sizes repeated by the node follow."""

    def add(function: Resize) -> Resize:
        for name in names:
            RESIZE[name] = function
        return function

    return add


def operator_table() -> list[Operator]:
    """All operators with a rule, by kind and name."""
    return sorted(RULES.values(), key=lambda o: (o.kind, o.name.lower()))
