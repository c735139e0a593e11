"""The laws have teeth: each wrong rule of the operator table must break a law on its witness.

A mutant replaces one entry of the table or one transfer. Its witness is an architecture and, where the
mistake concerns one relation, the name of a written relation there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from architectures import ARCHITECTURES
from laws import checks
from laws.bench import groups_of

from onnxdup.channels import trace as _trace  # noqa: F401 - fills the operator table
from onnxdup.channels import transfer
from onnxdup.channels.rules import RESIZE, RULES, linear, movement, pointwise, windows
from onnxdup.channels.tracer import Tracer
from onnxdup.channels.transfer.base import only, only_constant

Patch = pytest.MonkeyPatch
Change = Callable[[Patch], None]


@dataclass(frozen=True)
class Mutant:
    """A mistake and where it must show. `relation` None: the laws on all groups of the witness."""

    name: str
    change: Change
    witness: str
    relation: str | None = None


def unchanged(_self: Any, h: transfer.Related, _g: transfer.Pairs) -> Any:
    """A transfer that lets every relation pass as it is."""
    return only(h)


def lenient(kind: type) -> Change:
    """Every relation passes this kind of operator."""
    return lambda patch: patch.setattr(kind, "relate", unchanged)


def row(name: str, like: str) -> Change:
    """An operator with the rule of another."""
    return lambda patch: patch.setitem(RULES, name, replace(RULES[like], name=name))


def homogeneous(name: str) -> Change:
    """An activation that scales like Relu."""
    make = lambda _attrs: transfer.Homogeneous(np.abs)  # noqa: E731
    return lambda patch: patch.setitem(pointwise.ACTIVATIONS, name, make)


def clip_scales(patch: Patch) -> None:
    """Clip to any bounds scales like Relu."""
    patch.setattr(pointwise, "clip", lambda _lo, _hi: transfer.Homogeneous(np.abs))


def padding_forgotten(patch: Patch) -> None:
    """No convolution or pool is padded with zeros."""
    for module in (linear, windows):
        patch.setattr(module, "is_padded", lambda _node: False)


def zeros_keep_shift(patch: Patch) -> None:
    """Zero padding does no harm to a shift."""
    patch.setattr(transfer.Same, "relate", unchanged)
    patch.setattr(transfer.Same, "constant", lambda _self, v, _g: only_constant(v))


def transposed_absorbs(patch: Patch) -> None:
    """Every consumer takes up a shift, ConvTranspose too."""
    consume = linear.consume

    def always(*args: Any, shift: bool, **options: Any) -> None:
        consume(*args, shift=True, **options)

    patch.setattr(linear, "consume", always)
    patch.setattr(linear, "takes_shift", lambda *_args: True)


def sign_forgotten(patch: Patch) -> None:
    """Homogeneous for negative scales as well."""

    def relate(_self: Any, h: transfer.Related, _g: transfer.Pairs) -> Any:
        r = only(h)
        return r.where(r.no_shift)

    patch.setattr(transfer.Homogeneous, "relate", relate)


def shift_forgotten(patch: Patch) -> None:
    """Relu passes any shift."""

    def relate(_self: Any, h: transfer.Related, _g: transfer.Pairs) -> Any:
        r = only(h)
        return r.where(r.is_positive)

    patch.setattr(transfer.Homogeneous, "relate", relate)


def never_freeze(patch: Patch) -> None:
    """Graph outputs and barriers freeze nothing."""
    patch.setattr(Tracer, "freeze", lambda *_args: None)


def epsilon_forgotten(patch: Patch) -> None:
    """InstanceNormalization divides every scale out."""
    relate = transfer.Standardise.relate

    def bare(self: transfer.Standardise, h: transfer.Related, g: transfer.Pairs) -> Any:
        r = only(h)
        return relate(self, [replace(r, a=np.sign(r.a))], g)

    patch.setattr(transfer.Standardise, "relate", bare)


def reversed_reshape(patch: Patch) -> None:
    """Reshape lays the channels out backwards."""
    reshape = movement.reshape
    patch.setattr(movement, "reshape", lambda *args: np.flip(reshape(*args)))


def no_resize(name: str) -> Change:
    """Sizes repeated in the graph do not follow."""
    return lambda patch: patch.setitem(RESIZE, name, lambda _resizer, _node: None)


MUTANTS = [
    Mutant("ReLU6 scales", clip_scales, "relu6_tensor_bounds", "scaled"),
    Mutant("ReLU6 by attributes scales", clip_scales, "relu6_attribute", "scaled"),
    Mutant("Sigmoid scales", homogeneous("Sigmoid"), "sigmoid", "scaled"),
    Mutant("SiLU by the product rule alone", homogeneous("Sigmoid"), "silu", "scaled"),
    Mutant("gate scales", homogeneous("Sigmoid"), "squeeze_excite", "gate rows scaled"),
    Mutant("Erf scales", homogeneous("Erf"), "erf", "scaled"),
    Mutant("HardSwish scales", homogeneous("HardSwish"), "hard_swish", "scaled"),
    Mutant("Softplus scales", homogeneous("Softplus"), "softplus", "scaled"),
    Mutant("Tanh scales", lenient(transfer.Odd), "tanh", "scaled"),
    Mutant("Relu takes negative scales", sign_forgotten, "mlp", "negative scale"),
    Mutant("Relu passes shifts", shift_forgotten, "mlp", "shifted"),
    Mutant("MaxPool takes negative scales", lenient(transfer.Maximum), "max_pool", "negative scale"),
    Mutant("global MaxPool too", lenient(transfer.Maximum), "global_max_pool", "negative scale"),
    Mutant("bias ignored", lenient(transfer.Affine), "mlp", "bias ignored"),
    Mutant("bias ignored in MatMul + Add", lenient(transfer.Affine), "matmul_add", "bias ignored"),
    Mutant("BatchNormalization ignored", lenient(transfer.Affine), "bn_before_activation", "mean differs"),
    Mutant("slopes ignored", lenient(transfer.Slopes), "prelu", "slopes differ"),
    Mutant("depthwise kernels ignored", lenient(transfer.Depthwise), "depthwise", "kernel differs in sign"),
    Mutant(
        "constant through zero padding",
        padding_forgotten,
        "constant_channel_padded",
        "constant before padding",
    ),
    Mutant("auto_pad forgotten", padding_forgotten, "conv_auto_pad", "constant before padding"),
    Mutant(
        "zeros counted in the average",
        padding_forgotten,
        "average_pool_padded_inclusive",
        "a shift fades at the border",
    ),
    Mutant("Pad keeps shifts", zeros_keep_shift, "pad_default_zero", "shift"),
    Mutant("Pad keeps constants", zeros_keep_shift, "pad_zero", "constant before padding"),
    Mutant(
        "ConvTranspose absorbs constants",
        transposed_absorbs,
        "conv_transpose_overlapping",
        "constant meets overlapping taps",
    ),
    Mutant(
        "branches at different scales",
        lenient(transfer.Sum),
        "residual_identity",
        "branches at different scales",
    ),
    Mutant(
        "added mask scales", lenient(transfer.Sum), "mask_one_channel_added", "the added mask does not scale"
    ),
    Mutant("Max with unequal shifts", lenient(transfer.Agree), "maximum_of_two", "unequal shift"),
    Mutant("epsilon forgotten", epsilon_forgotten, "instance_norm", "epsilon breaks other scales"),
    Mutant("Softmax over space scales", lenient(transfer.ShiftInvariant), "softmax_over_space", "scale"),
    Mutant("Exp scales", lenient(transfer.Exponential), "exponential", "scaled"),
    Mutant(
        "BatchNormalization has no parameters", row("BatchNormalization", "Identity"), "bn_before_activation"
    ),
    Mutant("LayerNormalization is element-wise", row("LayerNormalization", "Identity"), "layer_norm"),
    Mutant("LRN is element-wise", row("LRN", "Identity"), "local_response_norm"),
    Mutant("Softmax over channels is element-wise", row("Softmax", "Identity"), "softmax_over_channels"),
    Mutant("unknown operators are element-wise", row("CumSum", "Identity"), "unknown_cumsum"),
    Mutant("Flatten is backwards", reversed_reshape, "cnn_flatten"),
    Mutant("Reshape is backwards", reversed_reshape, "cnn_flatten_nhwc"),
    Mutant("TopK is element-wise", row("TopK", "Identity"), "top_k_over_channels"),
    Mutant("outputs are free", never_freeze, "output_inside"),
    Mutant("captured values are free", never_freeze, "captured_and_read"),
    Mutant("used as a number", never_freeze, "shape_is_an_output"),
    Mutant("Split sizes stay", no_resize("Split"), "split_c2f"),
    Mutant("Reshape sizes stay", no_resize("Reshape"), "cnn_reshape_fixed"),
    Mutant("depthwise group stays", no_resize("Conv"), "depthwise"),
    Mutant("Gather indices stay", no_resize("Gather"), "gather_shuffle"),
    Mutant("Slice bounds stay", no_resize("Slice"), "slice_channels"),
]


def laws(mutant: Mutant) -> None:
    """The laws on the witness."""
    name = mutant.witness
    if mutant.relation is not None:
        relation = next(plant for plant in ARCHITECTURES[name].plants if plant.name == mutant.relation)
        return checks.check_relation(name, relation)
    checks.check_permutation(name)
    checks.check_planted(name, scaled=False)
    return checks.check_planted(name, scaled=True)


def breaks(mutant: Mutant) -> bool:
    """Does a law fail, or does onnxdup itself refuse the result?"""
    try:
        laws(mutant)
    except (AttributeError, NameError):
        raise  # the mutant itself is broken
    except Exception:
        return True
    return False


@pytest.fixture(autouse=True)
def _fresh_traces() -> Iterator[None]:
    """Traces of a mutant must not be reused."""
    groups_of.cache_clear()
    yield
    groups_of.cache_clear()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name.replace(" ", "_"))
def test_mutant_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    laws(mutant)
    groups_of.cache_clear()
    mutant.change(monkeypatch)
    assert breaks(mutant)
