"""onnxdup's command line: reports and merges as parsed JSON. The two packages share files, no code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.errors import TrainingError

TAUS = (1.0, 0.99, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def report(model: Path, taus: Iterable[float] = TAUS) -> list[dict[str, Any]]:
    """The layers in the report of `model` with spectra, kept beside it as MODEL.report.json."""
    path = model.with_suffix(".report.json")
    wanted = sorted(set(taus), reverse=True)
    if path.is_file():
        found = _layers(json.loads(path.read_text(encoding="utf-8")))
        if found and set(wanted) <= {row["tau"] for row in found[0]["taus"]}:
            return found
    options = [part for tau in wanted for part in ("--tau", repr(tau))]
    text = run("report", model, "--spectra", "--format", "json", *options)
    path.write_text(text, encoding="utf-8")
    return _layers(json.loads(text))


def layer(model: Path, tensor: str, taus: Iterable[float] = TAUS) -> dict[str, Any]:
    """The report on the layer whose weight is called `tensor`."""
    layers = {found["tensor"]: found for found in report(model, taus)}
    if tensor not in layers:
        raise TrainingError(f"{model}: has no layer {tensor}; it has {', '.join(layers)}")
    return layers[tensor]


def merge(model: Path, *options: str | Path) -> dict[str, Any]:
    """What `onnxdup merge` says of a merge; the merged model is not kept."""
    output = model.with_name(f"{model.stem}.{os.getpid()}.merged.onnx")
    try:
        return dict(json.loads(run("merge", model, "-o", output, "--format", "json", *options)))
    finally:
        for path in (
            output,
            output.with_name(output.name + ".ledger.json"),
            output.with_suffix(".ledger.json"),
        ):
            path.unlink(missing_ok=True)


def svcca(a: Path, b: Path, tensor: str) -> tuple[float, float]:
    """Mean SV-CCA between the layers called `tensor` of two models, on weights, and what chance gives."""
    pairs = json.loads(run("compare", a, b, "--include", tensor, "--format", "json"))["pairs"]
    found = pairs[0]["correlation"]
    return float(found["mean"]), float(found["chance"])


def exact(model: Path) -> int:
    """How many filters the exact pass (tau 1) removes."""
    filters = merge(model, "--tau", "1")["filters"]
    return int(filters["before"] - filters["after"])


def run(command: str, *arguments: str | Path) -> str:
    """The output of an onnxdup command; raises `TrainingError` with its own message when it fails."""
    call = [sys.executable, "-m", "onnxdup", command, *map(str, arguments), "-q"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-500:]
        raise TrainingError(f"onnxdup {command} {arguments[0]} exited {done.returncode}: {said}")
    return done.stdout


def _layers(document: dict[str, Any]) -> list[dict[str, Any]]:
    return list(document["models"][0]["layers"])
