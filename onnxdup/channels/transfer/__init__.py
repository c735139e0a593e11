"""What operators do to relations: ⟨a, kappa⟩ of two channels before, ⟨a, kappa⟩ after, or lost.

One class per kind of operator. Each says three things about the channels of a group:
`relate`: how the relation of a pair passes; `constant`: what becomes of a channel that is constant (NaN: it
varies); `symmetry`: which plain rescalings pass, whatever the parameters (the quick filter). Derivations:
h_j = a h_i + kappa inserted into the operator. Every rule declines (`ok` False) unless the result is again
of that form for *every* input.
"""

from __future__ import annotations

from onnxdup.channels.transfer.activation import (
    Absolute,
    Even,
    Exponential,
    Homogeneous,
    Logarithm,
    Odd,
    PointSymmetric,
    Pointwise,
    Powers,
    Slopes,
)
from onnxdup.channels.transfer.affine import Affine, Depthwise, Same, Stack
from onnxdup.channels.transfer.base import Pairs, Parameter, PerChannel, Transfer
from onnxdup.channels.transfer.branch import Agree, Product, Sum
from onnxdup.channels.transfer.lumping import Lumping, Part
from onnxdup.channels.transfer.rounding import Dequantise, Quantise
from onnxdup.channels.transfer.window import Maximum, Norm, ShiftInvariant, Standardise, Total

__all__ = [
    "Absolute",
    "Affine",
    "Agree",
    "Depthwise",
    "Dequantise",
    "Even",
    "Exponential",
    "Homogeneous",
    "Logarithm",
    "Lumping",
    "Maximum",
    "Norm",
    "Odd",
    "Pairs",
    "Parameter",
    "Part",
    "PerChannel",
    "PointSymmetric",
    "Pointwise",
    "Powers",
    "Product",
    "Quantise",
    "Same",
    "ShiftInvariant",
    "Slopes",
    "Stack",
    "Standardise",
    "Sum",
    "Total",
    "Transfer",
]
