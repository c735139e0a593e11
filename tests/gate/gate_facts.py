"""Facts, checks and reports made up for the tests of the gate."""

from __future__ import annotations

from dataclasses import replace

from onnxdup.gate.schema import CheckReport, Facts, ModelCheck, Reference
from onnxdup.reporting import schema as s

TOOL = s.Tool("onnxdup", "0.0.0")
MODEL = s.ModelIdentity("models/big ünit|1.onnx", "ab" * 32, 2_000_000, "pytorch", 8, {"": 18})
INTERVAL = s.Interval(0.9, 0.98, 0.95)


def at(tau: float = 1.0, filters: int = 100, components: int = 90, removable: int = 5) -> s.AtTau:
    eta = components / filters
    return s.AtTau(tau, filters, components, eta, 1 - eta, filters - removable, removable)


def accuracy(right: int = 475, samples: int = 500) -> s.Accuracy:
    return s.Accuracy(samples, right / samples, INTERVAL, None)


def latency(milliseconds: float) -> s.Latency:
    return s.Latency(32, 30, milliseconds, milliseconds, milliseconds)


def paired(only_before: int, only_after: int, samples: int = 500) -> s.Paired:
    return s.Paired(only_before, only_after, 0.5, (only_before - only_after) / samples, INTERVAL)


def base(**changes: object) -> Reference:
    found = Reference(
        MODEL, 120, (at(components=80),), 80_000, 900_000, accuracy(480), paired(9, 4), 0.96, latency(2.0)
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def facts(**changes: object) -> Facts:
    found = Facts(
        model=MODEL,
        filters=100,
        taus=(at(),),
        parameters=50_000,
        macs=600_000,
        inputs=s.Inputs("test.npz", 500, True, None),
        provider="CPU",
        provider_note="",
        accuracy=accuracy(),
        latency=latency(1.5),
        base=base(),
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def report() -> CheckReport:
    """One model with a check of every status, and a model that could not be read."""
    checks = (
        s.Check("bytes", "passed", "2.0 MB, 3.0 MB allowed", 2e6, 3e6),
        s.Check("removable", "failed", "5.00 %, 0 % allowed <&\n::error::x", 5.0, 0.0),
        s.Check("accuracy drop", "inconclusive", "0.1 to 2.1 possible", float("nan"), 1.0),
    )
    failure = s.Failure("bad.onnx", 3, "bad.onnx: the file is empty; export it again")
    return CheckReport(
        *("onnxdup/check", "1.0", TOOL, "error", (ModelCheck("failed", facts(), checks),)),
        failures=(failure,),
        notes=("a note",),
    )
