"""Documents of every kind, with awkward names and numbers, for the tests of formats and schema."""

from __future__ import annotations

import math

from onnxdup.reporting import schema as s

TOOL = s.Tool("onnxdup", "0.0.0")
MODEL = s.ModelIdentity("dir/we|ird <b>.onnx", "ab" * 32, 312456, "pytorch 2.13.0", 8, {"": 18, "com.x": 1})
INTERVAL = s.Interval(0.9, 0.98, 0.95)
FROZEN = s.Freeze("graph output", "fc3")
OBSTACLES = (s.Obstacle("graph output", 1, 10, "fc3"), s.Obstacle("no rule for LSTM", 2, 96, "rnn"))


def at(tau: float, components: int, filters: int, removable: int) -> s.AtTau:
    eta = components / filters
    return s.AtTau(tau, filters, components, eta, 1 - eta, filters - removable, removable)


def layer(node: str, frozen: s.Freeze | None = None, **changes: object) -> s.LayerReport:
    values: dict[str, object] = {
        "node": node,
        "op": "Gemm",
        "tensor": "onnx::Gemm_1",
        "shape": (500, 64),
        "filters": 500,
        "fan_in": 64,
        "dead": 3,
        "constant": 1,
        "groups": ("g0",),
        "symmetry": "positive",
        "frozen": frozen,
        "norms": s.Norms(0.0, 1.5, math.inf),
        "cosines": s.PairCosines(124750, 0.01, 0.2, math.nan, (1, 2, 3), 0.5, 1.0),
        "spectrum": s.Spectrum((3.0, 1.0), 2, 0.5),
        "note": "",
        "taus": (at(1.0, 497, 500, 3), at(0.9, 412, 500, 60)),
    }
    return s.LayerReport(**{**values, **changes})  # type: ignore[arg-type]


def report(layers: tuple[s.LayerReport, ...] | None = None) -> s.Report:
    rows = layers or (layer("fc1"), layer("fc|3\n`x`", FROZEN))
    totals = s.Totals(len(rows), 1000, 6, 2, 64000, 2, 1, (at(1.0, 994, 1000, 3), at(0.9, 824, 1000, 60)))
    groups = (s.GroupReport("g0", 500, "positive", ("fc1",), ("fc3",), None),)
    model = s.ModelReport(MODEL, totals, rows, groups, OBSTACLES)
    failure = s.Failure("bad.onnx", 3, "bad.onnx: the file is empty; export it again")
    return s.Report("onnxdup/report", s.SCHEMA_VERSION, TOOL, (model,), (failure,))


def merge(status: s.Status = "passed", approximate: int = 57) -> s.MergeReport:
    accuracy = s.Accuracy(360, 0.95, INTERVAL, 0.99)
    return s.MergeReport(
        schema="onnxdup/merge",
        schema_version=s.SCHEMA_VERSION,
        tool=TOOL,
        status=status,
        model=MODEL,
        output=MODEL,
        ledger="small.onnx.ledger.json",
        plan=s.PlanSummary("cluster", 0.9, 1, 3, approximate),
        layers=(s.LayerChange("fc1", "Gemm", "fc1.weight", s.Change(500, 440)),),
        filters=s.Change(500, 440),
        parameters=s.Change(38000, 33000),
        macs=s.Change(37000, 32000),
        bytes=s.Change(152000, 132000),
        inputs=s.Inputs("digits_test.npz", 360, True, None),
        provider="CPU",
        provider_note="auto took CPU: no CUDA device",
        accuracy_before=accuracy,
        accuracy_after=accuracy,
        paired=s.Paired(2, 3, 1.0, -0.0028, s.Interval(-0.02, 0.01, 0.95)),
        fidelity=(s.Fidelity("logits", 0.1, 0.01, 0.02, 0.9999, 0.99, 1e-7, ""),),
        checks=(
            s.Check("finite outputs", "passed", "360 samples"),
            s.Check("max drop", "failed" if status == "failed" else "passed", "1.2 of 1 points", 1.2, 1.0),
        ),
        obstacles=OBSTACLES,
    )


def evaluation(accuracy: bool = True) -> s.EvaluationReport:
    return s.EvaluationReport(
        schema="onnxdup/evaluation",
        schema_version=s.SCHEMA_VERSION,
        tool=TOOL,
        model=MODEL,
        parameters=1000,
        macs=None,
        inputs=s.Inputs("random inputs", 64, accuracy, 0),
        provider="CPU",
        provider_note="auto took CPU: no CUDA device",
        accuracy=s.Accuracy(64, 0.5, INTERVAL, None) if accuracy else None,
        latency=s.Latency(64, 20, 1.25, 1.2, 1.4),
    )


def verification(status: s.Status = "failed") -> s.VerificationReport:
    return s.VerificationReport(
        schema="onnxdup/verification",
        schema_version=s.SCHEMA_VERSION,
        tool=TOOL,
        status=status,
        original=MODEL,
        reduced=MODEL,
        inputs=s.Inputs("random inputs", 64, False, 0),
        provider="CPU",
        provider_note="auto took CPU: no CUDA device",
        accuracy_before=None,
        accuracy_after=None,
        paired=None,
        fidelity=(s.Fidelity("logits", math.inf, math.nan, math.nan, math.nan, None, 0.0, "other keys"),),
        checks=(s.Check("tolerance", status, "max error inf above 1e-5", math.inf, 1e-5),),
    )


DOCUMENTS: tuple[s.Artefact, ...] = (report(), merge(), evaluation(), verification())
