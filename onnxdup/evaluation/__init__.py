"""Data sets, accuracy, fidelity, cost and speed of models, and the comparison of two of them."""

from __future__ import annotations

from onnxdup.evaluation.accuracy import Accuracy
from onnxdup.evaluation.compare import Comparison, compare
from onnxdup.evaluation.cost import Cost, LayerCost, cost, measured_cost
from onnxdup.evaluation.data import Dataset, as_dataset, load_data
from onnxdup.evaluation.evaluate import Evaluation, evaluate
from onnxdup.evaluation.fidelity import Fidelity
from onnxdup.evaluation.latency import Latency, latency
from onnxdup.evaluation.pair import Noise
from onnxdup.evaluation.statistics import (
    Interval,
    Paired,
    clopper_pearson,
    mcnemar,
    newcombe,
    paired,
    tango,
    wilson,
)
from onnxdup.evaluation.synth import Synthesis, plan_inputs, synthesise
from onnxdup.evaluation.tolerance import Tolerance, exact_tolerance

__all__ = [
    "Accuracy",
    "Comparison",
    "Cost",
    "Dataset",
    "Evaluation",
    "Fidelity",
    "Interval",
    "Latency",
    "LayerCost",
    "Noise",
    "Paired",
    "Synthesis",
    "Tolerance",
    "as_dataset",
    "clopper_pearson",
    "compare",
    "cost",
    "evaluate",
    "exact_tolerance",
    "latency",
    "load_data",
    "mcnemar",
    "measured_cost",
    "newcombe",
    "paired",
    "plan_inputs",
    "synthesise",
    "tango",
    "wilson",
]
