"""What a reduced file is compared with its base by: parameters, and channels per layer."""

from __future__ import annotations

from math import prod

import onnx
from ours import open_groups

from onnxdup.channels import Role, trace
from onnxdup.graph import load


def parameters(model: onnx.ModelProto) -> int:
    """Numbers in the initializers."""
    return sum(prod(t.dims) for t in model.graph.initializer)


def layers(
    base: onnx.ModelProto, reduced: onnx.ModelProto, include: tuple[str, ...]
) -> dict[str, tuple[int, int]]:
    """Channels before and after of the groups that `include` names, by the name of their first layer.

    Sizes are read from the shapes of the weights, which every tool here leaves under their names; a weight
    that is gone counts as unknown (-1).
    """
    shapes = {t.name: tuple(t.dims) for t in reduced.graph.initializer}
    found = {}
    for group in open_groups(trace(load(base)), include):
        made = next(b for b in group.bindings if b.role is Role.PRODUCER)
        copies = made.index.shape[1]
        after = shapes[made.tensor][made.axis] // copies if made.tensor in shapes else -1
        found[made.tensor] = (group.size, after)
    return found
